"""Has files read and embedded by a cluster, and delivers them as if they were read here.

What a cluster loses on the way is given to it once more, file by file; what it loses again has
failed. Works through the files in waves, so that memory does not grow with their number.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from indexer.distributed.cluster import ClusterError
from indexer.distributed.rows import Receipt
from indexer.distributed.shard_box import ShardBox
from indexer.distributed.shards import SHARD_SUFFIX, Shard
from indexer.distributed.work import portions
from indexer.errors import ExtractionError
from indexer.extraction import ExtractionRequest
from indexer.extraction.reader import failed_result
from indexer.indexing.planning import WorkItem

if TYPE_CHECKING:
    from indexer.extraction import ExtractionResult

__all__ = ["RayFeed", "RunPortions"]

_logger = logging.getLogger(__name__)

_WAVE_FILES = 50_000
_END_S = 60.0

RunPortions = Callable[[list[list[WorkItem]]], Iterator[Receipt]]
"""Has portions of files read and embedded; yields a receipt for each shard as it is written."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Files that can be taken: those of a shard, or, without one, files that were lost."""

    items: dict[bytes, WorkItem]
    shard: Path | None = None


class RayFeed:
    """Delivers files that a cluster has read and embedded; a context manager.

    Args:
        items: the files; taken in another thread.
        box: where their shards are.
        begin: called before ``run`` is, by the thread that takes the results: Ray sets handlers of
            signals, which only the main thread can set back.
        run: has portions of files worked on; called in another thread.
        stop: ends ``run`` early, from any thread.
        settled: called in that thread when every file was asked for.
    """

    def __init__(
        self,
        items: Iterable[WorkItem],
        *,
        box: ShardBox,
        begin: Callable[[], None],
        run: RunPortions,
        stop: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        self._items = items
        self._box = box
        self._begin = begin
        self._run = run
        self._stop = stop
        self._settled = settled
        self._deliveries: queue.SimpleQueue[_Delivery] = queue.SimpleQueue()
        self._current: Iterator[tuple[WorkItem, ExtractionResult]] | None = None
        self._error: BaseException | None = None
        self._is_closing = False
        self._is_wanted, self._is_ready = threading.Event(), threading.Event()
        self._taken: set[Path] = set()  # shards of this run that were looked at
        self._thread = threading.Thread(target=self._work, name="ray", daemon=True)

    @property
    def has_results(self) -> bool:
        """Whether a result can be taken without waiting."""
        return self._current is not None or not self._deliveries.empty()

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was taken, the error that ended the work included."""
        is_ended = not self._thread.is_alive()
        return is_ended and not self.has_results and self._error is None

    def next_result(self, timeout_s: float) -> tuple[WorkItem, ExtractionResult] | None:
        """Return the next file; None when there was none for ``timeout_s``.

        Raises:
            ClusterError: the cluster cannot do the work.
            StorageError: a shard is damaged.
        """
        if self._is_wanted.is_set() and not self._is_ready.is_set():
            self._begin()
            self._is_ready.set()
        while True:
            if self._current is None:
                is_ended = not self._thread.is_alive()
                try:
                    delivery = self._deliveries.get(timeout=timeout_s)
                except queue.Empty:
                    if is_ended and self._error is not None:
                        raise self._error from None
                    return None
                self._current = self._open(delivery)
            found = next(self._current, None)
            if found is not None:
                return found
            self._current = None

    def take_begun(self) -> list[bytes]:
        """Return nothing: which files a cluster has begun is not known here."""
        return []

    def _open(self, delivery: _Delivery) -> Iterator[tuple[WorkItem, ExtractionResult]]:
        if delivery.shard is not None:
            return self._box.open(delivery.shard, delivery.items)
        return ((item, _lost(item)) for item in delivery.items.values())

    def _work(self) -> None:
        try:
            remaining = iter(self._items)
            while wave := list(islice(remaining, _WAVE_FILES)):
                self._work_through(wave)
            self._settled()
        except BaseException as error:  # handed to the thread that takes the results
            if self._is_closing:
                _logger.debug("the work on the cluster was ended: %r", error)
            else:
                self._error = error

    def _work_through(self, wave: list[WorkItem]) -> None:
        found: dict[Path, dict[bytes, WorkItem]] = {}
        wanted: dict[bytes, WorkItem] = {}
        for item in wave:
            shard = self._box.claim(item)
            (wanted if shard is None else found.setdefault(shard, {}))[item.entry.key] = item
        for shard, items in found.items():
            self._deliveries.put(_Delivery(items, shard))
        if wanted:
            asked = len(wanted)
            self._ask(list(portions(wanted.values())), wanted)
            if len(wanted) == asked:
                raise ClusterError(
                    "the processes on the cluster ended before they had read a single file, as "
                    "they do when memory is short; see Ray's logs, free some memory, and run the "
                    "same command again"
                )
        if wanted:
            _logger.warning("%d files were lost by the cluster; trying each alone", len(wanted))
            self._ask([[item] for item in wanted.values()], wanted)
        if wanted:
            self._deliveries.put(_Delivery(wanted))

    def _ask(self, work: list[list[WorkItem]], wanted: dict[bytes, WorkItem]) -> None:
        """Have portions worked on and deliver what comes; ``wanted`` loses what was delivered."""
        self._is_wanted.set()
        self._is_ready.wait()
        if self._is_closing:
            raise ClusterError("the run was stopped before the cluster was started")
        for receipt in self._run(work):
            if receipt.refusal:
                raise ClusterError(receipt.refusal)
            self._deliver(self._box.folder / receipt.shard, wanted)
        # a process that died after writing a shard has told nobody
        present = sorted(self._box.folder.glob("*" + SHARD_SUFFIX))
        for path in present:
            self._deliver(path, wanted)
        self._taken.intersection_update(present)

    def _deliver(self, path: Path, wanted: dict[bytes, WorkItem]) -> None:
        if path in self._taken:
            return
        self._taken.add(path)
        shard = Shard(path)
        # of a call that Ray has repeated, the files may have come already
        items = {key: wanted.pop(key) for key in shard.paths() if key in wanted}
        if items:
            self._deliveries.put(_Delivery(items, path))
        else:
            shard.remove()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closing = True
        self._is_ready.set()
        if self._thread.is_alive():
            self._stop()
            self._thread.join(_END_S)
        self._box.close()


def _lost(item: WorkItem) -> ExtractionResult:
    entry = item.entry
    fault = ExtractionError(
        "crashed",
        "the process on the cluster that worked on it ended, each time it was tried",
        hint="index it without --engine ray, or split it into smaller files",
    )
    request = ExtractionRequest(entry.path, entry.source, entry.name)
    return failed_result(request, fault, seconds=0.0)
