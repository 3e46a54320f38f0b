"""Keeps files being read while the model works: extraction in a thread of its own, bounded ahead.

The children that read are the pool's affair; here is the buffer between them and the model.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from indexer.extraction import ExtractionPool, ExtractionRequest
from indexer.indexing.memory_plan import result_bytes

if TYPE_CHECKING:
    from indexer.extraction import ExtractionResult
    from indexer.indexing.chunking import ChunkingConfig
    from indexer.indexing.memory_plan import MemoryPlan
    from indexer.indexing.planning import WorkItem

__all__ = ["ExtractionFeed", "Feed", "OpenFeed"]

_AHEAD_FILES = 512


class Feed(Protocol):
    """Delivers files that were read, each of them once, in any order."""

    @property
    def has_results(self) -> bool:
        """Whether a result can be taken without waiting."""

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was taken, the error that ended the reading included."""

    def next_result(self, timeout_s: float) -> tuple[WorkItem, ExtractionResult] | None:
        """Return the next file that was read; None when there was none for ``timeout_s``."""

    def take_begun(self) -> list[bytes]:
        """Return the paths of files whose reading began since this was last asked."""


OpenFeed = Callable[[Iterable["WorkItem"], "MemoryPlan"], AbstractContextManager[Feed]]
"""Begins to read files, as far ahead of whoever takes them as the plan allows."""


class ExtractionFeed:
    """Reads files ahead of whoever takes the results; a context manager.

    Args:
        items: the files to read; taken as they are needed, in another thread.
        tokenizer_file: the model's tokenizer, by which chunks are cut.
        chunking: how they are cut.
        memory: how many processes read, what one file may take, and how much may wait.
    """

    def __init__(
        self,
        items: Iterable[WorkItem],
        *,
        tokenizer_file: Path,
        chunking: ChunkingConfig,
        memory: MemoryPlan,
    ) -> None:
        self._items = items
        self._pool = ExtractionPool(
            tokenizer_file, jobs=memory.jobs, chunking=chunking, limits=memory.limits
        )
        self._ahead_bytes = memory.ahead_bytes
        self._being_read: dict[Path, WorkItem] = {}
        self._results: deque[ExtractionResult] = deque()
        self._bytes = 0
        self._begun: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._is_ended = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._read, name="extraction", daemon=True)

    @property
    def has_results(self) -> bool:
        """Whether a result can be taken without waiting."""
        with self._changed:
            return bool(self._results)

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was taken, the error that ended the reading included."""
        with self._changed:
            return self._is_ended and not self._results and self._error is None

    def next_result(self, timeout_s: float) -> tuple[WorkItem, ExtractionResult] | None:
        """Return the next file that was read; None when there was none for ``timeout_s``.

        Raises:
            Exception: whatever ended the reading of files.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._is_ended, timeout_s)
            if self._results:
                result = self._results.popleft()
                self._bytes -= _weight(result)
                self._changed.notify_all()
                return self._being_read.pop(result.request.path), result
            if self._error is not None:
                raise self._error
            return None

    def take_begun(self) -> list[bytes]:
        """Return the paths of files whose reading began since this was last asked."""
        return [self._begun.popleft() for _ in range(len(self._begun))]

    def _read(self) -> None:
        try:
            for result in self._pool.extract(self._requests()):
                if not self._put(result):
                    return
        except BaseException as error:  # handed to the thread that takes the results
            self._error = error
        finally:
            with self._changed:
                self._is_ended = True
                self._changed.notify_all()

    def _put(self, result: ExtractionResult) -> bool:
        """Wait for room and add a result; False when nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(self._has_room)
            if self._is_closing:
                return False
            self._results.append(result)
            self._bytes += _weight(result)
            self._changed.notify_all()
            return True

    def _has_room(self) -> bool:
        is_full = self._bytes >= self._ahead_bytes or len(self._results) >= _AHEAD_FILES
        return self._is_closing or not is_full

    def _requests(self) -> Iterator[ExtractionRequest]:
        for item in self._items:
            if self._is_closing:
                return
            entry = item.entry
            self._begun.append(entry.key)
            request = ExtractionRequest(entry.path, entry.source, entry.name)
            self._being_read[request.path] = item
            yield request

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._pool.close()
        self._thread.join()


def _weight(result: ExtractionResult) -> int:
    return 0 if result.document is None else result_bytes(result.document.text, len(result.chunks))
