"""Embeds on several devices at once: a process with the model for each of them.

With one device the model runs in the process that indexes, and none of this is needed.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self, cast

from indexer.embedder import model_info
from indexer.errors import IndexerError
from indexer.extraction.protocol import LENGTH, Message, decode_message, encode_message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.embedder import ModelInfo

__all__ = ["ModelProcessError", "ModelProcesses"]

_LAST_WORDS_BYTES = 4096
_END_TIMEOUT_S = 5.0
_ADVICE = (
    "nothing that was indexed is lost: run the same command again, with fewer --devices or a "
    "smaller --batch-tokens where memory is short"
)
# -P: the working folder must not choose what is imported; the package's own folder comes last
_BOOTSTRAP = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from indexer.indexing.model_worker import main; main()"
)


class ModelProcessError(IndexerError):
    """A process that embeds could not be started, failed, or ended by itself."""


class ModelProcesses:
    """One model on several devices; a context manager.

    ``embed_documents`` may be called by as many threads at once as there are devices; more wait.
    Each call goes to a device that has nothing to do.

    Args:
        model: name or folder of the model.
        devices: torch's names for them; one may be named twice.
        dtype: as for ``load_embedder``.
        batch_tokens: as for ``load_embedder``.

    Raises:
        ModelError: there is no such model.
        ModelProcessError: it cannot be loaded on one of the devices.
    """

    def __init__(
        self,
        model: str,
        devices: Sequence[str],
        *,
        dtype: str | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self.info: ModelInfo = model_info(model)
        settings: Message = {"model": model, "dtype": dtype, "batch_tokens": batch_tokens}
        self._processes: list[_Process] = []
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        try:
            for device in devices:
                process = _Process(device, threads=_threads(device, devices))
                self._processes.append(process)
                process.send(settings | {"device": device})
            for process in self._processes:  # they load at the same time
                process.expect("ready")
                self._idle.put(process)
        except BaseException:
            self.close()
            raise

    def embed_documents(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        """Return (N, D) unit vectors of documents embedded exactly as given, in input order.

        Raises:
            ModelProcessError: the process failed or ended; the message says how.
        """
        process = self._idle.get()
        try:
            process.send({"texts": list(texts), "steps": steps})
            return process.vectors(process.expect("vectors"))
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End the processes; may be called twice."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.finish()
        self._processes = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Process:
    """A running process; used by one thread at a time."""

    def __init__(self, device: str, *, threads: int | None) -> None:
        self._device = device
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish()
        own = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-P", "-X", "utf8", "-c", _BOOTSTRAP]
        try:
            self._process = subprocess.Popen(
                [*command, str(Path(__file__).parents[2])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=own | dict(os.environ),
                # Ctrl-C in the terminal is for the parent to handle
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise ModelProcessError(f"no process can be started for {device}: {error}") from error
        self._stdin = cast(IO[bytes], self._process.stdin)
        self._stdout = cast(IO[bytes], self._process.stdout)

    def send(self, message: Message) -> None:
        """Send a message; what became of it is for ``expect`` to say."""
        with suppress(BrokenPipeError):
            self._stdin.write(encode_message(message))
            self._stdin.flush()

    def expect(self, kind: str) -> Message:
        """Return the next message, which has to be of this type.

        Raises:
            ModelProcessError: it is another one, or there is none.
        """
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        message = decode_message(self._read(length))
        if message["type"] == kind:
            return message
        raise ModelProcessError(
            f"the model on {self._device} failed: {message.get('message')}"
            + ("" if message.get("is_expected") else f"; {_ADVICE}")
        )

    def vectors(self, message: Message) -> NDArray[np.float32]:
        """Return the vectors that follow a message."""
        import numpy as np

        rows, dim = int(message["rows"]), int(message["dim"])
        content = np.frombuffer(self._read(rows * dim * 4), dtype="<f4")
        return content.reshape(rows, dim).astype(np.float32, copy=False)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self._process.kill()

    def finish(self) -> None:
        """Wait until it has ended, and free its pipes."""
        with suppress(subprocess.TimeoutExpired):  # a driver may keep it; it holds nothing of ours
            self._process.wait(_END_TIMEOUT_S)
        for pipe in (self._stdin, self._stdout, self._errors):
            with suppress(BrokenPipeError):
                pipe.close()

    def _read(self, count: int) -> bytes:
        content = self._stdout.read(count)
        if len(content) < count:
            raise self._ended()
        return content

    def _ended(self) -> ModelProcessError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIMEOUT_S)
        status = self._process.poll()
        how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS_BYTES))
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        words = next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")
        return ModelProcessError(
            f"the model's process for {self._device} was ended by {how}{words[:300]}; {_ADVICE}"
        )


def _threads(device: str, devices: Sequence[str]) -> int | None:
    """Return how many threads a process on the CPU gets, so that together they fit the cores."""
    if device != "cpu":
        return None
    return max(1, (os.cpu_count() or 1) // devices.count("cpu"))
