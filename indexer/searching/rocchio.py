"""Moves a query's vector towards passages that are wanted, and away from such as are not.

Source: Rocchio, "Relevance feedback in information retrieval", 1971.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DISLIKED_WEIGHT", "LIKED_WEIGHT", "moved"]

LIKED_WEIGHT, DISLIKED_WEIGHT = 0.75, 0.25
"""Of what a person has judged. Source: Manning, Raghavan and Schütze, "Introduction to Information
Retrieval", 9.1.1, which has 0.75 and 0.15; there a query's few words are weighed against whole
documents, here unit vectors against unit vectors."""


def moved(
    queries: NDArray[np.float32] | None,
    liked: NDArray[np.float32] | None,
    disliked: NDArray[np.float32] | None = None,
    *,
    liked_weight: float = LIKED_WEIGHT,
    disliked_weight: float = DISLIKED_WEIGHT,
) -> NDArray[np.float32]:
    """Return q + liked_weight * mean(liked) - disliked_weight * mean(disliked), of unit length.

    Args:
        queries: (..., D), unit length; None where the passages are all that is asked by.
        liked: (..., N, D), unit length, N at least 1; None for none.
        disliked: (..., M, D), likewise.
        liked_weight: of the mean of the liked ones.
        disliked_weight: of the mean of the disliked ones.

    Returns:
        (..., D) float32.

    Raises:
        ValueError: there is neither a query nor a liked passage.
    """
    if queries is None and liked is None:
        raise ValueError("neither a query nor a passage to start from")
    total: NDArray[np.float32] | float = 0.0 if queries is None else queries
    if liked is not None:
        total = total + liked_weight * liked.mean(axis=-2)
    if disliked is not None:
        total = total - disliked_weight * disliked.mean(axis=-2)
    length = np.linalg.norm(total, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = (total / np.maximum(length, 1e-12)).astype(np.float32)
    return unit
