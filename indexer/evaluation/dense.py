"""Exact dense search over matrices: what an index would answer if it missed nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest"]

_QUERIES, _PASSAGES = 1024, 16_384  # a block of scores of 64 MiB


def nearest(
    queries: NDArray[np.float32], passages: NDArray[np.float32], *, top_k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return for each query the places and cosines of its closest passages, closest first.

    Equal scores are in the order of the passages.

    Args:
        queries: (Q, D), unit length.
        passages: (M, D), unit length; may lie in a file.
        top_k: how many, at least 1; all where there are fewer.

    Returns:
        (Q, k) places and (Q, k) float32 scores, k = min(top_k, M).
    """
    parts = [
        _nearest(queries[start : start + _QUERIES], passages, top_k)
        for start in range(0, len(queries), _QUERIES)
    ]
    places, scores = zip(*parts, strict=True)
    return np.concatenate(places), np.concatenate(scores)


def _nearest(
    queries: NDArray[np.float32], passages: NDArray[np.float32], top_k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    places = np.empty((len(queries), 0), dtype=np.int64)  # (Q, up to k + block)
    scores = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(passages), _PASSAGES):
        block = np.asarray(passages[start : start + _PASSAGES])
        here = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        places = np.concatenate([places, here], axis=1)
        scores = np.concatenate([scores, queries @ block.T], axis=1)
        if scores.shape[1] > top_k:
            kept = np.argpartition(-scores, top_k - 1, axis=1)[:, :top_k]
            places = np.take_along_axis(places, kept, axis=1)
            scores = np.take_along_axis(scores, kept, axis=1)
    order = np.lexsort((places, -scores), axis=1)
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(scores, order, axis=1)
