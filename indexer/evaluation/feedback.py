"""Pseudo-relevance feedback: a query moves towards what it found first, and asks again.

Test-time compute without training, as a baseline for the refinement steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation.dense import nearest
from indexer.searching.rocchio import moved

__all__ = ["FEEDBACK_PASSAGES", "FEEDBACK_WEIGHT", "with_feedback"]

FEEDBACK_PASSAGES = 3
FEEDBACK_WEIGHT = 0.3
"""Less than for what a person has judged: the passages found first need not be right."""


def with_feedback(
    queries: NDArray[np.float32], passages: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return q + weight * mean(its closest passages), of unit length.

    Args:
        queries: (Q, D), unit length.
        passages: (M, D), unit length.

    Returns:
        (Q, D) float32.
    """
    places, _ = nearest(queries, passages, top_k=FEEDBACK_PASSAGES)
    closest = np.asarray(passages[places.ravel()]).reshape(*places.shape, -1)  # (Q, N, D)
    return moved(queries, closest, liked_weight=FEEDBACK_WEIGHT)
