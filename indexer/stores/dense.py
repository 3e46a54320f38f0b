"""Dense search: a FAISS index that follows the collection's database.

Knows archive rows, no chunks. A row is searched while at least one chunk uses it; the ids that
FAISS keeps are the archive rows. What came or went since the index was written is searched beside
it; writing the index joins them.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.stores.base import IndexFault
from indexer.stores.changes import change_count, touched_rows, used_rows
from indexer.stores.gpu import searched_on_gpu
from indexer.stores.index_building import (
    BuildStoppedError,
    Steps,
    build_index,
    is_outgrown,
    update_index,
)
from indexer.stores.index_file import UnusableIndexError
from indexer.stores.index_pair import IndexPair
from indexer.stores.index_types import DEFAULT_INDEX_TYPE
from indexer.stores.locks import SharedLock
from indexer.stores.reading import current_change
from indexer.stores.row_set import RowSet
from indexer.stores.searched_rows import SearchedRows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.stores.index_stamp import IndexStamp
    from indexer.stores.index_types import IndexType

__all__ = ["DenseIndex"]

_LARGE = 50_000
_SMALL_SHARE = 0.02
"""A file of at least ``_LARGE`` vectors is not written anew for fewer changes than this share."""

_MANY_UNINDEXED = 100_000
_QUICKLY_BUILT = 20_000
_NO_STEPS = Steps()

logger = logging.getLogger(__name__)


class DenseIndex:
    """Cosine search over the rows that a database's chunks use; safe to share between threads.

    Other threads and processes may write to the database: every search first takes in what they
    changed, as noted in ``row_changes``.

    Args:
        directory: the index's own folder, or that of the database.
        database: the collection's.
        archive: its vectors.
        kind: what to build.
    """

    def __init__(
        self, directory: Path, database: Database, archive: VectorArchive, kind: IndexType
    ) -> None:
        self.archive = archive
        self.kind = kind
        self._pair = IndexPair(directory, database, kind)
        self._database = database
        self._lock = SharedLock()
        self._searched: SearchedRows | None = None
        self.was_rebuilt = False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Give a view of the database that the index agrees with until the block ends."""
        with self._lock.shared(), self._database.read(committed=True) as connection:
            if self._searched is not None and current_change(connection) == self._searched.change:
                yield connection
                return
        # This one search runs alone; the change cannot be overtaken by the next one meanwhile.
        with self._lock.exclusive():
            searched = self._load() if self._searched is None else self._searched
            self._searched = None  # half of a change must not be searched
            with self._database.read(committed=True) as connection:
                self._searched = self._follow(connection, searched)
                yield connection

    def contenders(
        self, queries: NDArray[np.float32], *, top_k: int, rows: RowSet | None
    ) -> list[NDArray[np.int64]]:
        """Return for each query the rows among which its ``top_k`` closest are.

        Inside ``snapshot()`` only. Rows that tie with the last of the closest are all there. An
        approximate index may miss some of the closest, except where few rows are to be searched.

        Args:
            queries: (Q, D) float32, checked.
            top_k: how many rows must be there, at least 1.
            rows: archive rows to search; None searches all.
        """
        return self._current.contenders(queries, top_k=top_k, rows=rows)

    @property
    def rows(self) -> RowSet:
        """What is searched; inside ``snapshot()`` only."""
        return self._current.rows

    @property
    def built_as(self) -> str:
        """What the index was built as, by its type's name; inside ``snapshot()`` only."""
        base = self._current.base
        return DEFAULT_INDEX_TYPE if base is None else base.kind.name

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_quickly_saved(self) -> bool:
        """Whether ``save()`` takes seconds at the most."""
        return self.kind.is_quick_to_build or len(self.archive) <= _QUICKLY_BUILT

    def size_bytes(self) -> int:
        """Return the size of the index on the disk; 0 while none was written."""
        return self._pair.size_bytes()

    def save(self, steps: Steps = _NO_STEPS, *, is_anew: bool = False) -> bool:
        """Write the index to disk when the database changed enough since it was written.

        Searches go on meanwhile, in what was there before.

        Args:
            steps: how to tell of progress, and when to stop.
            is_anew: build it from the archive, whatever is there.

        Returns:
            Whether the file is as it should be now; not where another process holds its lock for
            long, and not after a stop.

        Raises:
            StorageError: the disk is full or cannot be written; the previous file is still good.
        """
        with self._pair.locked() as is_locked:
            if not is_locked:
                logger.info("%s was not written; it is built anew when needed", self._pair.path)
                return False
            with self._database.read(committed=True) as connection:
                change = current_change(connection)
                stamp = None if is_anew else self._pair.usable_stamp(connection)
                if stamp is not None and _is_near(connection, stamp):
                    return True
                rows = used_rows(connection, among=None)
            if self.archive.dim:  # otherwise nothing was ever stored
                try:
                    self._write(stamp, rows, change, steps)
                except BuildStoppedError:
                    return False
        self.release()  # the next search reads the file
        self.was_rebuilt = False
        return True

    def faults(self) -> list[IndexFault]:
        """Return where the index and the content disagree; reads the whole file."""
        fault = self._pair.fault()
        if fault is not None:
            return [fault]
        with self.snapshot() as connection:
            used, searched = used_rows(connection, among=None), self.rows
        missing, surplus = len(used - searched), len(searched - used)
        if not missing and not surplus:
            return []
        what = (
            f"it holds {len(searched):,} vectors, the passages use {len(used):,}: {missing:,} are "
            f"missing, {surplus:,} too many"
        )
        return [IndexFault(str(self._pair.path), what)]

    def set_aside(self) -> None:
        """Rename the file, so that the next search builds the index anew."""
        with self._lock.exclusive():
            self._pair.set_aside()
            self._searched = None

    def release(self) -> None:
        """Free the memory; the next search reads the file again."""
        with self._lock.exclusive():
            self._searched = None

    @property
    def _current(self) -> SearchedRows:
        assert self._searched is not None, "outside of snapshot()"
        return self._searched

    def _write(self, stamp: IndexStamp | None, rows: RowSet, change: int, steps: Steps) -> None:
        """Update the index that ``stamp`` is about, or build it anew, and write it."""
        dim = self.archive.dim
        old = None if stamp is None else self._pair.load_to_change(stamp, dim=dim)
        built_for = len(rows)
        if old is None or stamp is None:
            built = build_index(self.archive, rows, self.kind, steps)
        elif is_outgrown(old, rows=rows, built_for=stamp.built_for, kind=self.kind):
            del old  # a million vectors need not be in memory twice
            built = build_index(self.archive, rows, self.kind, steps)
        else:
            built = update_index(old, self.archive, rows, steps)
            built_for = stamp.built_for
        self._pair.write(built, rows=rows, built_for=built_for, change=change)

    def _load(self) -> SearchedRows:
        """Read the index from its file, or start with an empty one."""
        dim = self.archive.dim
        try:
            found = self._pair.read(dim=dim)
        except UnusableIndexError:
            found = self._pair.read_again(dim=dim)
        if found is None:
            self.was_rebuilt = True
            return SearchedRows(self.archive)
        stamp, built = found
        built.gpu = searched_on_gpu(built)
        return SearchedRows(
            self.archive, change=stamp.change, base=built, left_behind=stamp.left_behind_rows()
        )

    def _follow(self, connection: sqlite3.Connection, searched: SearchedRows) -> SearchedRows:
        """Bring what is searched to the state of the database that ``connection`` sees."""
        change = current_change(connection)
        if change == searched.change:
            return searched
        if searched.dim != self.archive.dim:  # it was empty, and no width was known
            searched = SearchedRows(self.archive)
        touched = touched_rows(connection, since=searched.change)
        used = used_rows(connection, among=touched)
        known = searched.rows if touched is None else searched.rows & touched
        if len(used) > _MANY_UNINDEXED and searched.base is None and not self.kind.is_exact:
            logger.warning(
                "%s: there is no index of type %s yet; %d vectors are searched one by one until "
                "`gircse reindex` has made it",
                self._pair.path,
                self.kind.name,
                len(used),
            )
        searched.take(used - known, known - used)
        searched.change = change
        return searched


def _is_near(connection: sqlite3.Connection, stamp: IndexStamp) -> bool:
    """Return whether following the database costs less than writing the index file anew."""
    changes = change_count(connection, since=stamp.change)
    if changes is None:
        return False
    return not changes or (stamp.total >= _LARGE and changes <= _SMALL_SHARE * stamp.total)
