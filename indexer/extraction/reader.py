"""Has files read by worker processes, one after the other, and makes each end of one a result."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from pathlib import Path

from indexer.errors import ExtractionError
from indexer.extraction.process import (
    WorkerEnd,
    WorkerEndedError,
    WorkerProcess,
    WorkerStartError,
)
from indexer.extraction.protocol import Message, ProtocolError, decode_result, pack_path
from indexer.extraction.values import ExtractionLimits, ExtractionRequest, ExtractionResult
from indexer.file_times import modified_ns

__all__ = ["Reader", "ReaderClosedError", "failed_result"]

_START_TIMEOUT_S = 60.0
_MIB = 1024 * 1024
_SPLIT = "split the file into smaller ones, or allow more memory"


class ReaderClosedError(Exception):
    """The reader was closed while a file was being read."""


class Reader:
    """Reads one file at a time; starts a worker when there is none.

    ``interrupt`` and ``close`` may be called from any thread, the rest from one.

    Args:
        tokenizer_file: the model's tokenizer.
        chunking: ``ChunkingConfig.as_dict()``.
        limits: what reading one file may take.
    """

    def __init__(
        self, tokenizer_file: Path, chunking: dict[str, int], limits: ExtractionLimits
    ) -> None:
        self._settings: Message = {
            "tokenizer_file": pack_path(tokenizer_file),
            "chunking": chunking,
            "timeout_s": limits.timeout_s,
            "memory_bytes": limits.memory_bytes,
            "max_file_bytes": limits.max_file_bytes,
            "max_text_chars": limits.max_text_chars,
        }
        self._limits = limits
        self._worker: WorkerProcess | None = None
        self._lock = threading.Lock()  # over which worker there is, for those who would kill it
        self._is_closed = False
        self._place = ""

    def read(self, request: ExtractionRequest) -> ExtractionResult:
        """Read a file.

        Raises:
            WorkerStartError: no worker can be started.
            ReaderClosedError: the reader was closed.
        """
        begun = time.monotonic()
        try:
            return self._try(request)
        except ExtractionError as error:
            return failed_result(request, error, seconds=time.monotonic() - begun)

    def interrupt(self) -> None:
        """Give up the file that is being read, if any."""
        with self._lock:
            if self._worker is not None:
                self._worker.kill()

    def close(self) -> None:
        """Give up for good."""
        self._is_closed = True
        self.interrupt()

    def finish(self) -> None:
        """Free what the worker held, when nothing is being read any more."""
        self._bury()

    def _try(self, request: ExtractionRequest) -> ExtractionResult:
        # a worker that retired after its last file has read nothing of this one: once more
        for is_last in (False, True):
            worker = self._worker or self._start()
            begun = time.monotonic()
            self._place = ""
            try:
                answer = self._ask(worker, request)
                return decode_result(answer, request, seconds=time.monotonic() - begun)
            except TimeoutError:
                self._bury()
                raise self._too_slow() from None
            except ProtocolError as error:
                self._bury()
                raise _nonsense(error) from error
            except WorkerEndedError:
                end = self._bury()
                if self._is_closed:
                    raise ReaderClosedError from None
                if end.status != 0 or self._place or is_last:
                    raise self._explain(end) from None
        raise AssertionError("the last attempt returns or raises")

    def _ask(self, worker: WorkerProcess, request: ExtractionRequest) -> Message:
        worker.send(
            {"path": pack_path(request.path), "source": request.source, "name": request.name}
        )
        deadline = time.monotonic() + self._limits.timeout_s
        while (answer := worker.receive(deadline)).get("type") == "progress":
            self._place = str(answer.get("place"))[:200]
        return answer

    def _start(self) -> WorkerProcess:
        with self._lock:
            if self._is_closed:
                raise ReaderClosedError
            # a text of four bytes a character, and its chunks
            longest = 8 * self._limits.max_text_chars + 64 * _MIB
            worker = self._worker = WorkerProcess(max_message_bytes=longest)
        reason = f"it did not answer within {_START_TIMEOUT_S:g} s"
        with contextlib.suppress(WorkerEndedError, TimeoutError, ProtocolError):
            worker.send(self._settings)
            answer = worker.receive(time.monotonic() + _START_TIMEOUT_S)
            if answer.get("type") == "ready":
                return worker
            reason = str(answer.get("message"))
        end = self._bury()
        if self._is_closed:
            raise ReaderClosedError
        reason = _last_line(end) or reason
        raise WorkerStartError(f"the process that reads files does not start: {reason}")

    def _bury(self) -> WorkerEnd:
        with self._lock:
            worker, self._worker = self._worker, None
        return worker.finish() if worker is not None else WorkerEnd(0, "")

    def _at(self) -> str:
        return f" at {self._place}" if self._place else ""

    def _too_slow(self) -> ExtractionError:
        return ExtractionError(
            "timeout",
            f"reading it took longer than {self._limits.timeout_s:g} s and was ended{self._at()}",
            hint="allow more time, or split the file into smaller ones",
        )

    def _explain(self, end: WorkerEnd) -> ExtractionError:
        limit = f"limit {self._limits.memory_bytes // _MIB:,} MiB"
        if "MemoryError" in end.last_words or "memory allocation of" in end.last_words:
            return ExtractionError(
                "memory",
                f"the reading process ran out of memory{self._at()} ({limit})",
                hint=_SPLIT,
            )
        if end.status == -signal.SIGXCPU:
            return self._too_slow()
        if end.status == -signal.SIGKILL:
            return ExtractionError(
                "crashed",
                f"the reading process was ended by signal 9 (SIGKILL){self._at()}, as the system "
                f"does when memory is short",
                hint="free some memory or read fewer files at once, then index again",
            )
        how = f"status {end.status}" if end.status >= 0 else f"signal {_signal_name(-end.status)}"
        words = _last_line(end)
        return ExtractionError(
            "crashed",
            f"the reading process was ended by {how}{self._at()}{f': {words}' if words else ''}",
            hint="open the file in the program that made it and save it again",
        )


def _signal_name(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)


def _last_line(end: WorkerEnd) -> str:
    lines = [line.strip() for line in end.last_words.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _nonsense(error: ProtocolError) -> ExtractionError:
    return ExtractionError(
        "crashed",
        f"the reading process answered nonsense: {error}",
        hint="the file may be an attack on its parser: open it with care",
    )


def failed_result(
    request: ExtractionRequest, error: ExtractionError, *, seconds: float
) -> ExtractionResult:
    """Return the result of a file that no worker could answer for."""
    size = mtime_ns = 0
    with contextlib.suppress(OSError):
        status = request.path.stat()
        size, mtime_ns = status.st_size, modified_ns(status)
    return ExtractionResult(
        request=request,
        status="failed",
        sha256=None,
        size=size,
        mtime_ns=mtime_ns,
        document=None,
        chunks=(),
        code=error.code,
        message=error.message,
        hint=error.hint,
        seconds=seconds,
    )
