"""How long one query takes, asked alone as a user asks it.

Medians over a few queries spread evenly over a set: a busy machine stretches some of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

from indexer.embedder import Embedder

__all__ = ["SAMPLE", "embedding_ms", "median_ms", "spread"]

SAMPLE = 16
"""How many queries of a set are timed."""

ItemT = TypeVar("ItemT")


def spread(items: Sequence[ItemT], count: int = SAMPLE) -> list[ItemT]:
    """Return at most ``count`` items, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def median_ms(work: Callable[[ItemT], object], items: Sequence[ItemT]) -> float:
    """Return the median milliseconds of a piece of work, warmed up by one that does not count."""
    work(items[0])
    taken = []
    for item in items:
        started = time.perf_counter()
        work(item)
        taken.append(time.perf_counter() - started)
    return 1000.0 * median(taken)


def embedding_ms(
    embedder: Embedder, texts: Sequence[str], steps: Sequence[int]
) -> Mapping[int, float]:
    """Return for each step count the median milliseconds from a query's text to its vector."""
    most = max(steps)
    taken: dict[int, list[float]] = {step: [] for step in steps}
    for _ in embedder.refine(texts[0], max_steps=most):
        pass  # the first run of all also pays for the model's warming up
    for text in texts:
        elapsed = 0.0
        for refinement in embedder.refine(text, max_steps=most):
            elapsed += refinement.seconds
            if refinement.step in taken:
                taken[refinement.step].append(elapsed)
    return {step: 1000.0 * median(times) for step, times in taken.items()}
