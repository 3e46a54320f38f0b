"""Has previews made by child processes, keeps the latest ones, and explains what went wrong."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from indexer.errors import ExtractionError
from indexer.extraction.process import (
    WorkerEndedError,
    WorkerProcess,
    WorkerStartError,
    child_command,
)
from indexer.extraction.protocol import Message, ProtocolError
from indexer.preview.protocol import decode_preview, pack_request
from indexer.preview.values import PagePicture, Preview, PreviewLimits, PreviewRequest

__all__ = ["Previewer"]

_MAX_FILES = 200  # after so many a fresh process takes over, whatever parsers may leak
_START_TIMEOUT_S = 30.0
_MAX_MESSAGE_BYTES = 64 << 20
_KEPT = 48
_KEPT_PICTURE_BYTES = 32 << 20
_DEFAULT_LIMITS = PreviewLimits()


@dataclass(eq=False, slots=True)
class _Worker:
    process: WorkerProcess
    files: int = 0


class Previewer:
    """Makes previews; safe between threads.

    Args:
        limits: what one may take.
        processes: how many are made at once; more wait. They start when they are needed.
    """

    def __init__(self, limits: PreviewLimits = _DEFAULT_LIMITS, *, processes: int = 2) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._free = threading.Semaphore(processes)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._is_closed = False
        self._kept: OrderedDict[PreviewRequest, Preview] = OrderedDict()

    def preview(self, request: PreviewRequest) -> Preview:
        """Return what a request asks for.

        Raises:
            ExtractionError: it cannot be shown; code, message and hint say why and what to do.
        """
        known = self._recall(request)
        if known is not None:
            return known
        if not self._free.acquire(timeout=self._limits.timeout_s):
            raise ExtractionError(
                "busy",
                "too many documents are being shown at this moment",
                hint="try again in a moment",
            )
        try:
            made = self._make(request)
        finally:
            self._free.release()
        self._remember(request, made)
        return made

    def close(self) -> None:
        """End all processes; may be called again."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            for worker in self._busy:
                worker.process.kill()
        for worker in idle:
            worker.process.finish()

    def _make(self, request: PreviewRequest) -> Preview:
        worker = self._take()
        is_well = False
        try:
            worker.process.send(pack_request(request))
            answer = worker.process.receive(time.monotonic() + self._limits.timeout_s)
            made = _understood(answer, request)
            is_well = True
            return made
        except ExtractionError as error:
            is_well = error.code != "memory"  # then it has ended
            raise
        except TimeoutError:
            raise _too_slow(self._limits.timeout_s) from None
        except ProtocolError as error:
            raise ExtractionError(
                "crashed",
                f"the process that shows it answered nonsense: {error}",
                hint="the file may be an attack on its parser: open it with care",
            ) from error
        except WorkerEndedError:
            raise ExtractionError(
                "crashed",
                "the process that shows it was ended by what is in the file",
                hint="open the file in the program that made it and save it again",
            ) from None
        finally:
            self._give_back(worker, is_well=is_well)

    def _take(self) -> _Worker:
        with self._lock:
            if self._is_closed:
                raise ExtractionError("closed", "the app is ending", hint="start it again")
            worker = self._idle.pop() if self._idle else None
        if worker is not None and not worker.process.is_running:
            worker.process.finish()
            worker = None
        worker = worker or _Worker(self._start())
        with self._lock:
            self._busy.add(worker)
        return worker

    def _start(self) -> WorkerProcess:
        settings: Message = {
            "timeout_s": self._limits.timeout_s,
            "memory_bytes": self._limits.memory_bytes,
            "max_file_bytes": self._limits.max_file_bytes,
        }
        reason = f"it did not answer within {_START_TIMEOUT_S:g} s"
        try:
            worker = WorkerProcess(
                max_message_bytes=_MAX_MESSAGE_BYTES,
                command=child_command("indexer.preview.worker"),
            )
        except WorkerStartError as error:
            reason = str(error)
        else:
            with contextlib.suppress(WorkerEndedError, TimeoutError, ProtocolError):
                worker.send(settings)
                if worker.receive(time.monotonic() + _START_TIMEOUT_S).get("type") == "ready":
                    return worker
            reason = worker.finish().last_words.strip().rpartition("\n")[2] or reason
        raise ExtractionError(
            "crashed",
            f"the process that shows files does not start: {reason}",
            hint="free some memory and try again",
        )

    def _give_back(self, worker: _Worker, *, is_well: bool) -> None:
        worker.files += 1
        with self._lock:
            self._busy.discard(worker)
            if is_well and worker.files < _MAX_FILES and not self._is_closed:
                self._idle.append(worker)
                return
        worker.process.finish()

    def _recall(self, request: PreviewRequest) -> Preview | None:
        with self._lock:
            known = self._kept.get(request)
            if known is not None:
                self._kept.move_to_end(request)
            return known

    def _remember(self, request: PreviewRequest, made: Preview) -> None:
        with self._lock:
            self._kept[request] = made
            size = sum(_size(kept) for kept in self._kept.values())
            while len(self._kept) > _KEPT or (size > _KEPT_PICTURE_BYTES and len(self._kept) > 1):
                _, dropped = self._kept.popitem(last=False)
                size -= _size(dropped)


def _size(preview: Preview) -> int:
    return len(preview.picture) if isinstance(preview, PagePicture) else 0


def _understood(answer: Message, request: PreviewRequest) -> Preview:
    if answer.get("type") == "refused":
        raise ExtractionError(
            str(answer.get("code"))[:40],
            str(answer.get("message"))[:500],
            hint=str(answer.get("hint"))[:300],
        )
    return decode_preview(answer, request.media_type)


def _too_slow(timeout_s: float) -> ExtractionError:
    return ExtractionError(
        "timeout",
        f"showing it took longer than {timeout_s:g} s and was ended",
        hint="read its text, or split the file into smaller ones",
    )
