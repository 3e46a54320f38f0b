"""Rocchio feedback: a query moves towards what it found first, and asks again.

Test-time compute without training, as a baseline for the refinement steps.

Source: Rocchio, "Relevance feedback in information retrieval", 1971; without judgements, as
pseudo-relevance feedback on the vectors of a frozen encoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation.dense import nearest

__all__ = ["FEEDBACK_PASSAGES", "FEEDBACK_WEIGHT", "with_feedback"]

FEEDBACK_PASSAGES = 3
FEEDBACK_WEIGHT = 0.3


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
    means = np.asarray(passages[places.ravel()]).reshape(*places.shape, -1).mean(axis=1)  # (Q, D)
    moved = queries + FEEDBACK_WEIGHT * means
    unit: NDArray[np.float32] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit
