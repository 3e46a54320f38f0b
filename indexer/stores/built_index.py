"""A FAISS index with the rows that it holds: searched as it is, changed only before it is written.

Knows archive rows and FAISS, no files and no database. FAISS neither checks what it is given nor
says what it lacks: queries must be unit vectors of the right width, rows new and not negative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from indexer.stores.index_file import FaissObject, UnusableIndexError, import_faiss
from indexer.stores.row_set import RowSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.stores.gpu import GpuSearch
    from indexer.stores.index_types import IndexType

__all__ = ["BuiltIndex", "Found"]

_TIE = 1e-5  # FAISS may score equal vectors a few 1e-7 apart
_NARROW = 0.1
"""With fewer of its rows allowed than this share, a graph or lists would miss most of them: each
vector's codes are compared instead."""

_MOST_EFFORT = 16
_ADDED_EFFORT = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """What FAISS found for Q queries; row -1 stands where it found nothing more."""

    scores: NDArray[np.float32]
    rows: NDArray[np.int64]


class BuiltIndex:
    """An index over archive rows. Searching is safe between threads, changing is not.

    Args:
        kind: what it is.
        index: FAISS's own, which keeps archive rows as ids.
        effort: ``efSearch`` or ``nprobe``; 0 for a scan.
        gpu: a copy on a GPU, searched where no rows are left out.
    """

    def __init__(
        self, kind: IndexType, index: FaissObject, *, effort: int = 0, gpu: GpuSearch | None = None
    ) -> None:
        self.kind = kind
        self.index = index
        self.effort = effort
        self.gpu = gpu
        self.rows = RowSet.of(_stored_rows(kind, index))
        if len(self.rows) != index.ntotal:
            raise UnusableIndexError(
                f"it holds {index.ntotal} vectors of {len(self.rows)} different rows"
            )

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Take in vectors of rows that are not in it."""
        self.index.add_with_ids(vectors, rows)
        self._changed(self.rows | RowSet.of(rows))

    def remove(self, rows: RowSet) -> None:
        """Let go of rows; only of a kind that can."""
        if len(rows):
            removed = self.index.remove_ids(rows.rows())
            assert removed == len(rows), f"FAISS removed {removed} of {len(rows)} rows"
            self._changed(self.rows - rows)

    def _changed(self, rows: RowSet) -> None:
        self.rows = rows
        self.__dict__.pop("row_of_position", None)

    def contenders(
        self, queries: NDArray[np.float32], *, top_k: int, allowed: RowSet
    ) -> list[NDArray[np.int64]]:
        """Return for each query rows among which the closest ``top_k`` are.

        Rows that tie with the last of them are there too. Where the index is approximate, some of
        the closest may be missing.

        Args:
            queries: (Q, D) float32, checked.
            top_k: how many rows must be there, at least 1.
            allowed: rows to search, all of them in this index.
        """
        count = self.kind.contenders(top_k)
        if count >= len(allowed):  # scored exactly by the caller, one and all
            return [allowed.rows()] * len(queries)
        found = self._search(queries, count, allowed)
        return [
            self._with_ties(queries[number : number + 1], found, number, top_k, allowed)
            for number in range(len(queries))
        ]

    def _with_ties(
        self,
        query: NDArray[np.float32],
        found: Found,
        number: int,
        top_k: int,
        allowed: RowSet,
    ) -> NDArray[np.int64]:
        """Look further until no row is left out that ties with the last of the ``top_k``."""
        scores: NDArray[np.float32] = found.scores[number]
        rows: NDArray[np.int64] = found.rows[number]
        if (rows < 0).any():  # the graph is parted, or the lists that were looked into held less
            wider = self._scan(query, len(rows), allowed)
            scores, rows = wider.scores[0], wider.rows[0]
        while len(rows) < len(allowed) and scores[-1] >= scores[top_k - 1] - _TIE:
            wider = self._scan(query, min(4 * len(rows), len(allowed)), allowed)
            scores, rows = wider.scores[0], wider.rows[0]
        return rows

    def _search(self, queries: NDArray[np.float32], count: int, allowed: RowSet) -> Found:
        """Return (Q, count) scores and rows, the best of the allowed ones first."""
        left_out = len(self) - len(allowed)
        if self.gpu is not None and self.gpu.takes(count + left_out):
            return _only(allowed, self.gpu.search(queries, count + left_out), count)
        share = len(allowed) / len(self)
        if self.kind.structure == "scan" or share < _NARROW:
            return self._scan(queries, count, allowed)
        effort = min(
            round(self.effort / share), self.effort * _MOST_EFFORT, self.effort + _ADDED_EFFORT
        )
        return _searched(self.index, queries, count, self._parameters(effort, allowed))

    def _scan(self, queries: NDArray[np.float32], count: int, allowed: RowSet) -> Found:
        """Compare every allowed vector's codes."""
        if self.kind.structure == "graph":
            return self._scan_graph(queries, count, allowed)
        effort = self.index.nlist if self.kind.structure == "lists" else 0
        return _searched(self.index, queries, count, self._parameters(effort, allowed))

    def _scan_graph(self, queries: NDArray[np.float32], count: int, allowed: RowSet) -> Found:
        """Compare the vectors of a graph without walking it. Its storage numbers them from 0."""
        faiss = import_faiss()
        storage = faiss.downcast_index(faiss.downcast_index(self.index.index).storage)
        parameters = None
        if len(allowed) < len(self):
            flags = np.packbits(allowed.has(self.row_of_position), bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(flags))
        found = _searched(storage, queries, count, parameters)
        rows = np.where(found.rows < 0, -1, self.row_of_position[found.rows])
        return replace(found, rows=rows)

    @cached_property
    def row_of_position(self) -> NDArray[np.int64]:
        """The rows in the order in which the index keeps them."""
        return _stored_rows(self.kind, self.index)

    def _parameters(self, effort: int, allowed: RowSet) -> FaissObject:
        faiss = import_faiss()
        is_all = len(allowed) == len(self)
        selector = None if is_all else faiss.IDSelectorBitmap(allowed.packed())
        if self.kind.structure == "graph":
            return faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        if self.kind.structure == "lists":
            made = (
                faiss.IVFRaBitQSearchParameters
                if self.kind.codes == "rabitq"
                else faiss.SearchParametersIVF
            )
            return made(nprobe=effort, sel=selector)
        return None if selector is None else faiss.SearchParameters(sel=selector)


def _searched(
    index: FaissObject,
    queries: NDArray[np.float32],
    count: int,
    parameters: FaissObject,
) -> Found:
    faiss = import_faiss()
    threads = faiss.omp_get_max_threads()
    # More threads make a single flat query four times slower. The setting is this thread's own.
    faiss.omp_set_num_threads(1 if len(queries) == 1 else threads)
    try:
        scores, rows = index.search(queries, count, params=parameters)
    finally:
        faiss.omp_set_num_threads(threads)
    return Found(scores, rows)


def _only(allowed: RowSet, found: Found, count: int) -> Found:
    """Drop the rows that are not allowed, and keep the best ``count`` of the others."""
    is_allowed = np.array([allowed.has(rows) for rows in found.rows])
    order = np.argsort(~is_allowed, axis=1, kind="stable")[:, :count]
    rows = np.where(is_allowed, found.rows, -1)
    return Found(
        np.take_along_axis(found.scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
    )


def _stored_rows(kind: IndexType, index: FaissObject) -> NDArray[np.int64]:
    """Return the rows of an index in the order in which it keeps them."""
    faiss = import_faiss()
    if kind.structure != "lists":
        rows: NDArray[np.int64] = faiss.vector_to_array(index.id_map)
        return rows
    lists = index.invlists
    parts = [
        faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
        for number in range(index.nlist)
        if lists.list_size(number)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
