"""Builds an index from the vector archive, or brings one that was written up to date.

Memory holds the index, the vectors that it is trained on and one batch; no model is called. Knows
rows, no documents.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.stores.built_index import BuiltIndex
from indexer.stores.exact_search import nearby_queries, nearest_rows, recall_at
from indexer.stores.gpu import built_on_gpu
from indexer.stores.index_file import FaissObject, import_faiss
from indexer.stores.index_types import INDEX_TYPES, IndexType
from indexer.stores.row_set import RowSet

if TYPE_CHECKING:
    from indexer.storage.archive import VectorArchive

__all__ = ["BuildStoppedError", "Progress", "build_index", "update_index"]

Progress = Callable[[int, int], None]
"""Told how many of how many rows are done."""

_TARGET_RECALL = 0.98
_TOP_K = 10
_QUERIES = 64
_MOST_LEFT_BEHIND = 0.25
_MOST_GROWTH = 4

logger = logging.getLogger(__name__)


class BuildStoppedError(Exception):
    """Somebody asked for the end of the work; never leaves the store."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How long work is told of and broken off.

    Args:
        progress: told after each batch.
        should_stop: asked before each batch.
    """

    progress: Progress = lambda _done, _total: None
    should_stop: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Raise when the work is to end."""
        if self.should_stop():
            raise BuildStoppedError


def build_index(archive: VectorArchive, rows: RowSet, kind: IndexType, steps: Steps) -> BuiltIndex:
    """Return a new index over rows.

    Args:
        archive: their vectors.
        rows: what it is to hold.
        kind: what to build; with fewer rows than the kind is for, a flat one is built.
        steps: how to tell of progress.

    Raises:
        BuildStoppedError: it was asked to stop.
        StorageError: the archive is damaged.
    """
    if len(rows) < kind.least_rows:
        kind = INDEX_TYPES["flat"]
    index = kind.new(archive.dim, len(rows))
    copy = built_on_gpu(kind, index)
    filled = index if copy is None else copy
    steps.check()
    _train(filled, archive, rows, kind)
    _fill(filled, archive, rows.rows(), kind, steps)
    if copy is not None:
        index = import_faiss().index_gpu_to_cpu(copy)
    built = BuiltIndex(kind, index)
    built.effort = _effort(built, archive, steps)
    return built


def update_index(
    built: BuiltIndex, archive: VectorArchive, rows: RowSet, steps: Steps
) -> BuiltIndex:
    """Change an index so that it holds ``rows``; what a graph cannot let go of stays in it.

    Args:
        built: an index in memory, not mapped from its file: FAISS ends the process that adds to a
            mapped one.
        archive: the vectors of the rows.
        rows: what it is to hold.
        steps: how to tell of progress.

    Raises:
        BuildStoppedError: it was asked to stop; the index may hold a part of the new rows.
        StorageError: the archive is damaged.
    """
    if built.kind.can_remove:
        built.remove(built.rows - rows)
    new = (rows - built.rows).rows()
    _fill(built.index, archive, new, built.kind, steps)
    return BuiltIndex(built.kind, built.index, effort=built.effort)


def is_outgrown(built: BuiltIndex, *, rows: RowSet, built_for: int, kind: IndexType) -> bool:
    """Return whether an index should be built anew rather than updated.

    Args:
        built: the index.
        rows: what it is to hold.
        built_for: how many rows it was trained and parted for.
        kind: what is asked for.
    """
    if built.kind.name != kind.name:
        return len(rows) >= kind.least_rows
    left_behind = len(built.rows - rows)
    if not built.kind.can_remove and left_behind > _MOST_LEFT_BEHIND * max(len(rows), 1):
        return True
    return built.kind.training_rows(1) > 0 and len(rows) > _MOST_GROWTH * built_for


def _train(index: FaissObject, archive: VectorArchive, rows: RowSet, kind: IndexType) -> None:
    count = kind.training_rows(len(rows))
    if count:
        drawn = np.random.default_rng(0).choice(rows.rows(), count, replace=False)
        index.train(archive.read(np.sort(drawn)))


def _fill(
    index: FaissObject,
    archive: VectorArchive,
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    kind: IndexType,
    steps: Steps,
) -> None:
    steps.progress(0, len(rows))
    for begin in range(0, len(rows), kind.adds_per_batch):
        steps.check()
        batch = rows[begin : begin + kind.adds_per_batch]
        index.add_with_ids(archive.read(batch), batch)
        steps.progress(begin + len(batch), len(rows))


def _effort(built: BuiltIndex, archive: VectorArchive, steps: Steps) -> int:
    """Return the smallest effort that finds enough of what an exact search finds; 0 for a scan."""
    efforts = built.kind.efforts(len(built))
    if not efforts:
        return 0
    steps.check()
    queries = nearby_queries(archive, built.rows, count=_QUERIES)
    exact = [found.rows for found in nearest_rows(archive, built.rows, queries, top_k=_TOP_K)]
    for effort in efforts:
        steps.check()
        built.effort = effort
        found = built.contenders(queries, top_k=_TOP_K, allowed=built.rows)
        recall = recall_at(exact, found)
        logger.info("%s with effort %d: recall %.3f", built.kind.name, effort, recall)
        if recall >= _TARGET_RECALL:
            break
    return effort
