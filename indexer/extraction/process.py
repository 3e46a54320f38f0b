"""One worker process from its start to its end: pipes, deadlines and last words."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from indexer.errors import IndexerError
from indexer.extraction.protocol import (
    LENGTH,
    Message,
    ProtocolError,
    decode_message,
    encode_message,
)

__all__ = [
    "WorkerEnd",
    "WorkerEndedError",
    "WorkerProcess",
    "WorkerStartError",
    "child_command",
    "worker_command",
]

_END_TIMEOUT_S = 5.0
_READ_BYTES = 1024 * 1024
_LAST_WORDS_BYTES = 4096
# isolated (-I), so that neither the working folder nor PYTHON* variables choose what is imported;
# the package's own folder comes last on the path, for when it runs from a checkout
_BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from {} import main; main()"
_ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # each further arena reserves 64 MiB of the address space
}
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "TZ")


class WorkerStartError(IndexerError):
    """No worker process can be started."""


class WorkerEndedError(Exception):
    """The process has closed its side of the pipes."""


@dataclass(frozen=True, slots=True)
class WorkerEnd:
    """How a process ended.

    Args:
        status: exit status; negative: the signal that ended it.
        last_words: the end of what it wrote to its standard error.
    """

    status: int
    last_words: str


def child_command(module: str) -> list[str]:
    """Return the command that runs ``main`` of one of our modules, apart from everything else."""
    root = Path(__file__).parents[2]
    start = _BOOTSTRAP.format(module)
    return [sys.executable, "-I", "-B", "-X", "utf8", "-c", start, str(root)]


def worker_command() -> list[str]:
    """Return the command that runs the worker of the extraction."""
    return child_command("indexer.extraction.worker")


class WorkerProcess:
    """A running worker; every method but ``kill`` belongs to one thread.

    Args:
        max_message_bytes: longer messages are refused.
        command: what it runs; None runs the worker of the extraction.

    Raises:
        WorkerStartError: the system cannot start a process.
    """

    def __init__(self, *, max_message_bytes: int, command: Sequence[str] | None = None) -> None:
        self._max_message_bytes = max_message_bytes
        self._received = bytearray()
        self._last_words = b""
        self._is_at_end = False
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._process = subprocess.Popen(
                command or worker_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT | kept,
                # Ctrl-C in the terminal is for the parent to handle
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerStartError(f"no process can be started to read files: {error}") from error
        self._stdin, self._stdout, self._stderr = _pipes(self._process)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            WorkerEndedError: the process does not read any more.
        """
        try:
            self._stdin.write(encode_message(message))
            self._stdin.flush()
        except BrokenPipeError as error:
            self._is_at_end = True
            raise WorkerEndedError from error

    def receive(self, deadline: float) -> Message:
        """Return the next message.

        Args:
            deadline: by ``time.monotonic()``.

        Raises:
            TimeoutError: none arrived in time.
            WorkerEndedError: there will be none.
            ProtocolError: it is none.
        """
        while True:
            message = self._take_message()
            if message is not None:
                return message
            if self._is_at_end:
                raise WorkerEndedError
            # what has arrived is looked at first: this thread, not the worker, may be the late one
            ready = self._selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                self._read_pipe(key.fd)

    def kill(self) -> None:
        """End the process at once, whatever it is doing; callable from any thread."""
        self._process.kill()

    def finish(self) -> WorkerEnd:
        """Wait for a process that ends by itself, kill any other, and free its pipes."""
        if self._is_at_end:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_TIMEOUT_S)
        self._process.kill()
        status = self._process.wait()
        with contextlib.suppress(BlockingIOError):
            self._hear(self._stderr.read() or b"")
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return WorkerEnd(status, self._last_words.decode("utf-8", "replace"))

    def _take_message(self) -> Message | None:
        if len(self._received) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._received)
        if length > self._max_message_bytes:
            raise ProtocolError(f"a message of {length:,} bytes was announced")
        end = LENGTH.size + length
        if len(self._received) < end:
            return None
        body = bytes(self._received[LENGTH.size : end])
        del self._received[:end]
        return decode_message(body)

    def _read_pipe(self, descriptor: int) -> None:
        try:
            block = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        is_answer = descriptor == self._stdout.fileno()
        if not block:
            self._selector.unregister(descriptor)
            self._is_at_end = self._is_at_end or is_answer
        elif is_answer:
            self._received += block
        else:
            self._hear(block)

    def _hear(self, block: bytes) -> None:
        self._last_words = (self._last_words + block)[-_LAST_WORDS_BYTES:]


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    pipes = process.stdin, process.stdout, process.stderr
    stdin, stdout, stderr = (pipe for pipe in pipes if pipe is not None)
    return stdin, stdout, stderr
