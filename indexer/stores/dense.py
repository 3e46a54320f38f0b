"""Dense search: a FAISS index in memory that follows the collection's database.

Knows archive rows, no chunks. A row is in the index while at least one chunk uses it; the ids that
FAISS keeps are the archive rows.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.archive import VectorArchive
from indexer.database import Database
from indexer.stores.base import IndexFault
from indexer.stores.changes import accept_index, accepted_index, touched_rows, used_rows
from indexer.stores.index_file import (
    INDEX_TYPE,
    IndexFile,
    IndexStamp,
    UnusableIndexError,
    import_faiss,
)
from indexer.stores.locks import SharedLock
from indexer.stores.reading import current_change

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DenseIndex"]

_ROWS_PER_ADD = 16_384
_SPARE_ROWS = 16
_TIE = 1e-5  # FAISS may score equal vectors a few 1e-7 apart

logger = logging.getLogger(__name__)


class DenseIndex:
    """Cosine search over the rows that a database's chunks use; safe to share between threads.

    Other threads and processes may write to the database: every search first takes in what they
    changed, as noted in ``row_changes``.

    Args:
        directory: the index's own folder, or that of the database.
        database: the collection's.
        archive: its vectors.
    """

    def __init__(self, directory: Path, database: Database, archive: VectorArchive) -> None:
        self._file = IndexFile(directory)
        # Several indexes may follow one database; each has a name there that moves along with both.
        self._name = "." if directory == database.path.parent else directory.name
        self._database = database
        self._archive = archive
        self._lock = SharedLock()
        self._index: Any = None
        self._rows: set[int] = set()
        self._change = -1
        self._saved_change = -1
        self.was_rebuilt = False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Give a view of the database that the index agrees with until the block ends."""
        with self._lock.shared(), self._database.read(committed=True) as connection:
            if self._index is not None and current_change(connection) == self._change:
                yield connection
                return
        # This one search runs alone; the change cannot be overtaken by the next one meanwhile.
        with self._lock.exclusive():
            if self._index is None:
                self._load()
            with self._database.read(committed=True) as connection:
                self._follow(connection)
                yield connection

    def contenders(
        self, queries: NDArray[np.float32], *, top_k: int, rows: Sequence[int] | None
    ) -> list[list[int]]:
        """Return for each query the rows among which its ``top_k`` closest are.

        Inside ``snapshot()`` only. Rows that tie with the last of the closest are all there.

        Args:
            queries: (Q, D) float32, checked.
            top_k: how many rows must be there, at least 1.
            rows: archive rows to search; None searches all.
        """
        available = len(self._rows) if rows is None else len(set(rows))
        if not available or not len(queries):
            return [[] for _ in queries]
        count = min(top_k + _SPARE_ROWS, available)
        scores, found = self._search(queries, count, rows)
        contenders = []
        for number in range(len(queries)):
            query_scores, query_rows = scores[number], found[number]
            wider = count
            while wider < available and query_scores[-1] >= query_scores[top_k - 1] - _TIE:
                wider = min(wider * 4, available)
                (query_scores,), (query_rows,) = self._search(
                    queries[number : number + 1], wider, rows
                )
            last = query_scores[min(top_k, wider) - 1]
            contenders.append(query_rows[query_scores >= last - _TIE].tolist())
        return contenders

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def path(self) -> Path:
        """The file of the index."""
        return self._file.path

    def file_fault(self) -> IndexFault | None:
        """Return what is wrong with the file as it is on the disk; None where all is well."""
        damage = self._file.damage()
        with self._database.read(committed=True) as connection:
            token, _ = accepted_index(connection, self._name)
        if damage is not None and damage[0] != self._file.path:
            return IndexFault(str(damage[0]), damage[1])  # what is to vouch for the index
        stamp = self._file.stamp()
        if stamp is None or stamp.token != token:
            what = "it belongs to another state of the content, and is built anew when next used"
            return IndexFault(str(self._file.path), what, is_damage=False)
        return None if damage is None else IndexFault(str(damage[0]), damage[1])

    def set_aside(self) -> None:
        """Rename the file, so that the next search builds the index anew."""
        with self._lock.exclusive():
            self._file.set_aside()
            self._forget()

    def save(self) -> None:
        """Write the index to disk when it changed since it was read or written.

        Raises:
            StorageError: the disk is full or cannot be written; the previous file is still good.
        """
        with self.snapshot():
            pass  # loads the index now: to do so under the file's lock would wait for itself
        with self._file.locked() as is_locked:
            if not is_locked:
                logger.info("%s was not written; it is built anew when needed", self._file.path)
                return
            with self.snapshot():
                if self._change == self._saved_change:
                    return
                index, change = self._index, self._change
                sha256 = self._file.prepare(index)
                stamp = IndexStamp(
                    token=secrets.token_hex(16),
                    change=change,
                    index_type=INDEX_TYPE,
                    dim=index.d,
                    total=index.ntotal,
                    sha256=sha256,
                )
            # The database first: were it last, a killed process would leave a pair that looks
            # current and is not. The other way round the pair is refused and built anew.
            with self._database.write() as connection:
                accept_index(connection, self._name, token=stamp.token, change=stamp.change)
            self._file.replace(stamp)
            self._saved_change = change
            self.was_rebuilt = False

    def _search(
        self, queries: NDArray[np.float32], count: int, rows: Sequence[int] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return (Q, count) scores and rows; ``count`` is at most the number of rows there are."""
        faiss = import_faiss()
        parameters = None if rows is None else faiss.SearchParameters(sel=_selector(rows))
        threads = faiss.omp_get_max_threads()
        # More threads make a single flat query four times slower. The setting is this thread's own.
        faiss.omp_set_num_threads(1 if len(queries) == 1 else threads)
        try:
            found: tuple[NDArray[np.float32], NDArray[np.int64]] = self._index.search(
                queries, count, params=parameters
            )
        finally:
            faiss.omp_set_num_threads(threads)
        return found

    def release(self) -> None:
        """Free the memory; the next search reads the file again."""
        with self._lock.exclusive():
            self._forget()

    def _forget(self) -> None:
        self._index = None
        self._rows = set()
        self._change = self._saved_change = -1

    def _load(self) -> None:
        """Read the index from its file, or start with an empty one."""
        try:
            found = self._read_file()
        except UnusableIndexError:
            found = self._read_file_again()
        if found is None:
            self._reset()
            return
        self._index, self._change = found
        self._saved_change = self._change
        self._rows = set(import_faiss().vector_to_array(self._index.id_map).tolist())

    def _read_file(self) -> tuple[Any, int] | None:
        """Return the index with the change that it contains; None when none was ever written."""
        with self._database.read(committed=True) as connection:
            token, change = accepted_index(connection, self._name)
        if not token:
            return None
        stamp = self._file.stamp()
        if stamp is None or (stamp.token, stamp.change) != (token, change):
            raise UnusableIndexError("it belongs to another state of the database")
        return self._file.load(stamp, dim=self._archive.dim), change

    def _read_file_again(self) -> tuple[Any, int] | None:
        """Read it once no other process is writing it; set it aside when it is still unusable."""
        with self._file.locked() as is_locked:
            try:
                return self._read_file()
            except UnusableIndexError as error:
                logger.warning("%s cannot be used: %s", self._file.path, error)
                if is_locked:
                    self._file.set_aside()
                return None

    def _reset(self) -> None:
        faiss = import_faiss()
        self._forget()
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(self._archive.dim))
        self.was_rebuilt = True

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Bring the index to the state of the database that ``connection`` sees."""
        change = current_change(connection)
        if change == self._change:
            return
        if self._index.d != self._archive.dim:  # it was empty, and no width was known
            self._reset()
        touched = touched_rows(connection, since=self._change)
        used = used_rows(connection, among=touched)
        known = self._rows if touched is None else self._rows & touched
        try:
            self._remove(known - used)
            self._add(sorted(used - known))
        except BaseException:
            self._forget()  # half of a change must not be searched
            raise
        self._change = change

    def _remove(self, rows: set[int]) -> None:
        import numpy as np

        if rows:
            self._index.remove_ids(np.fromiter(sorted(rows), dtype=np.int64, count=len(rows)))
            self._rows -= rows

    def _add(self, rows: Sequence[int]) -> None:
        import numpy as np

        for begin in range(0, len(rows), _ROWS_PER_ADD):
            ids = np.asarray(rows[begin : begin + _ROWS_PER_ADD], dtype=np.int64)
            self._index.add_with_ids(self._archive.read(ids), ids)
            self._rows.update(ids.tolist())


def _selector(rows: Sequence[int]) -> Any:  # noqa: ANN401
    import numpy as np

    allowed = np.zeros(max(rows, default=0) + 1, dtype=bool)
    allowed[np.asarray(rows, dtype=np.int64)] = True
    return import_faiss().IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
