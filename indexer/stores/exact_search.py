"""Exact search over the vector archive, read in batches: what approximate indexes are held against.

Knows archive rows only. Slow beside an index, and right whatever the index does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.storage.archive import VectorArchive
    from indexer.stores.row_set import RowSet

__all__ = ["Nearest", "nearby_queries", "nearest_rows", "recall_at"]

_ROWS_PER_READ = 16_384
_DISTANCE = 0.75
"""How far a query is from the stored vector that it was made from, which is then at a cosine of
0.8: about where a question is from the passage that answers it."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The closest rows of one query, closest first, with their cosines."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


def nearest_rows(
    archive: VectorArchive, rows: RowSet, queries: NDArray[np.float32], *, top_k: int
) -> list[Nearest]:
    """Return for each of the (Q, D) queries the ``top_k`` closest of the rows, by reading them all.

    Raises:
        StorageError: the archive is damaged.
    """
    numbers = rows.rows()
    best_rows = np.full((len(queries), 0), -1, dtype=np.int64)  # (Q, 0)
    best_scores = np.full((len(queries), 0), 0.0, dtype=np.float32)
    for begin in range(0, len(numbers), _ROWS_PER_READ):
        batch = numbers[begin : begin + _ROWS_PER_READ]
        scores = np.hstack([best_scores, queries @ archive.read(batch).T])  # (Q, k + B)
        known = np.hstack([best_rows, np.broadcast_to(batch, (len(queries), len(batch)))])
        count = min(top_k, scores.shape[1])
        kept = np.argpartition(-scores, count - 1, axis=1)[:, :count]  # (Q, k)
        best_scores = np.take_along_axis(scores, kept, axis=1)
        best_rows = np.take_along_axis(known, kept, axis=1)
    order = np.argsort(-best_scores, axis=1, kind="stable")
    return [
        Nearest(found[sequence], scores[sequence])
        for found, scores, sequence in zip(best_rows, best_scores, order, strict=True)
    ]


def nearby_queries(
    archive: VectorArchive, rows: RowSet, *, count: int, seed: int = 0
) -> NDArray[np.float32]:
    """Return (Q, D) unit vectors, each a little off some stored one; Q is at most ``count``."""
    draw = np.random.default_rng(seed)
    numbers = rows.rows()
    drawn = np.sort(draw.choice(numbers, min(count, len(numbers)), replace=False))
    stored = archive.read(drawn)
    noise = draw.normal(size=stored.shape)
    noise *= _DISTANCE / np.linalg.norm(noise, axis=1, keepdims=True)
    moved = stored + noise
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    return moved.astype(np.float32)


def recall_at(exact: Sequence[NDArray[np.int64]], found: Sequence[NDArray[np.int64]]) -> float:
    """Return the share of the exact rows, over all queries, that were found."""
    wanted = sum(len(rows) for rows in exact)
    hit = sum(int(np.isin(rows, other).sum()) for rows, other in zip(exact, found, strict=True))
    return hit / wanted if wanted else 1.0
