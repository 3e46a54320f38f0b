"""The last step of a rebuild: what changed meanwhile is taken in, and the pointer replaced.

Whoever is indexing is waited for; searches notice nothing but a new generation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.collections.canary import probe
from indexer.collections.generations import GenerationRecord, publish
from indexer.collections.search_defaults import SearchDefaults, write_search_defaults
from indexer.errors import CollectionBusyError, StorageError

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.collections.generation import Generation
    from indexer.reindexing.filling import ContentFilling
    from indexer.reindexing.progress import Stopwatch

__all__ = ["Swap"]

_LITTLE = 256
"""Chunks that may be embedded while nobody else may write; more are embedded before that."""

_TRIES = 3
_POLL_S = 0.5


class Swap:
    """Makes a generation live that is built, measured and probed.

    Args:
        collection: of which.
        live: the generation that was live when the rebuild began.
        built: the new one.
        filling: brings documents to the new content; None where both have the same.
        keeps_defaults: whether what tuning found for searches holds for the new vectors.
        watch: told what is being waited for.
        should_stop: asked while waiting and between slices.
    """

    def __init__(
        self,
        collection: Collection,
        live: Generation,
        built: Generation,
        *,
        filling: ContentFilling | None,
        keeps_defaults: bool,
        watch: Stopwatch,
        should_stop: Callable[[], bool],
    ) -> None:
        self._collection = collection
        self._live = live
        self._built = built
        self._filling = filling
        self._keeps_defaults = keeps_defaults
        self._watch = watch
        self._should_stop = should_stop

    def swap_in(self, record: GenerationRecord) -> GenerationRecord | None:
        """Wait for the write lock and swap; return what is live now, None when stopped before.

        Args:
            record: of the new generation, with what was measured.

        Raises:
            CollectionBusyError: the collection was rolled back meanwhile.
            StorageError: the pointer cannot be written, or the new generation lacks something.
        """
        tries = 0
        while not self._should_stop():
            with ExitStack() as stack:
                try:
                    lock = self._collection.write_lock(f"swapping in generation {record.number}")
                    now = stack.enter_context(lock)
                except CollectionBusyError as busy:
                    self._watch.enter("waiting", detail=str(busy))
                    self._wait()
                    continue
                self._watch.enter("swapping")
                self._check_live(now)
                if self._has_much_left() and tries < _TRIES:
                    tries += 1
                else:
                    return self._finish(record)
            self._catch_up()
        return None

    def _wait(self) -> None:
        """Let some time pass, and use it to keep up with whoever is writing."""
        started = time.monotonic()
        if self._has_much_left():
            self._catch_up()
        time.sleep(max(0.0, _POLL_S - (time.monotonic() - started)))

    def _has_much_left(self) -> bool:
        return self._filling is not None and self._filling.pending().chunks > _LITTLE

    def _catch_up(self) -> None:
        if self._filling is not None:
            self._filling.fill()

    def _check_live(self, now: Generation) -> None:
        if not now.record.is_same(self._live.record):
            raise CollectionBusyError(
                f"collection {self._collection.name!r} was rolled back to generation "
                f"{now.record.number} while generation {self._built.record.number} was being "
                "made from another one; run the same command again"
            )

    def _finish(self, record: GenerationRecord) -> GenerationRecord | None:
        built = self._built
        if self._filling is not None:
            if not self._filling.finish():
                return None
            defaults = self._live.search_defaults() if self._keeps_defaults else SearchDefaults()
            write_search_defaults(built.database, defaults)
        built.store.flush()
        probe(built)
        expected, found = len(self._live.store), len(built.store)
        is_same_cutting = self._live.config.chunking == built.config.chunking
        if found != expected and (self._filling is None or is_same_cutting):
            raise StorageError(
                f"generation {record.number} has {found:,} chunks, the live one {expected:,}; "
                "it is not swapped in. Run `gircse verify`, then the same command again"
            )
        return publish(self._collection.directory, replace(record, made_at=time.time())).live
