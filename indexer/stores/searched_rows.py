"""One state of what dense search looks through: an index that was written, and what came since.

Knows archive rows. The index that was written is never changed while it is searched: FAISS ends the
process that adds to a mapped one, and no graph lets go of anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.stores.built_index import BuiltIndex
from indexer.stores.index_types import INDEX_TYPES
from indexer.stores.row_set import RowSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.storage.archive import VectorArchive

__all__ = ["SearchedRows"]

_ROWS_PER_ADD = 16_384


class SearchedRows:
    """Rows to search. Searching is safe between threads, changing is not.

    Args:
        archive: their vectors.
        change: the change of the database up to which it goes; -1 before the first one.
        base: the index that was written; None where there is none.
        left_behind: rows of it that are not to be found any more.
    """

    def __init__(
        self,
        archive: VectorArchive,
        *,
        change: int = -1,
        base: BuiltIndex | None = None,
        left_behind: RowSet | None = None,
    ) -> None:
        flat = INDEX_TYPES["flat"]
        self.change = change
        self._archive = archive
        self.base = base
        self._recent = BuiltIndex(flat, flat.new(archive.dim, 0))
        self._pass_over(left_behind or RowSet.of(()))

    @property
    def dim(self) -> int:
        """Width of the vectors that it takes."""
        return int(self._recent.index.d)

    @property
    def rows(self) -> RowSet:
        """What can be found."""
        return self._base_rows | self._recent.rows

    def take(self, new: RowSet, gone: RowSet) -> None:
        """Find ``new`` rows from now on, and those that are ``gone`` no more.

        Raises:
            StorageError: the archive is damaged; this must not be searched any more.
        """
        self._recent.remove(gone & self._recent.rows)
        if self.base is not None:
            self._pass_over((self._left_behind | (gone & self.base.rows)) - new)
            new = new - self.base.rows
        rows = new.rows()
        for begin in range(0, len(rows), _ROWS_PER_ADD):
            batch = rows[begin : begin + _ROWS_PER_ADD]
            self._recent.add(batch, self._archive.read(batch))

    def contenders(
        self, queries: NDArray[np.float32], *, top_k: int, rows: RowSet | None
    ) -> list[NDArray[np.int64]]:
        """Return for each query the rows among which its ``top_k`` closest are.

        See ``DenseIndex.contenders``.
        """
        found: list[list[NDArray[np.int64]]] = [[np.zeros(0, dtype=np.int64)] for _ in queries]
        parts = [(self._recent, self._recent.rows)]
        if self.base is not None:
            parts.append((self.base, self._base_rows))
        for index, usable in parts:
            allowed = usable if rows is None else usable & rows
            if len(allowed) and len(queries):
                contenders = index.contenders(queries, top_k=top_k, allowed=allowed)
                for one, more in zip(found, contenders, strict=True):
                    one.append(more)
        return [np.concatenate(one) for one in found]

    def _pass_over(self, left_behind: RowSet) -> None:
        self._left_behind = left_behind
        self._base_rows = RowSet.of(()) if self.base is None else self.base.rows - left_behind
