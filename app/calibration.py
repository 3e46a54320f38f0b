"""What a query costs on this machine, per refinement step: measured once, right after loading."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from indexer.embedder import Embedder

__all__ = ["SLIDER_MAX_STEPS", "StepTiming", "calibrate"]

SLIDER_MAX_STEPS = 20
"""Models may define more; beyond this nobody has measured that it helps."""

_QUERY = "how long do dried beans have to soak before they are cooked"  # of ordinary length
_MEASURED_STEPS = 4
_RUNS = 12
_BUDGET_S = 1.5


@dataclass(frozen=True, slots=True)
class StepTiming:
    """The measured cost of embedding one query.

    Args:
        min_steps: the fewest steps that the model defines.
        max_steps: the most that are offered.
        first_ms: reading the query, up to the vector at ``min_steps``.
        step_ms: each step after that; 0.0 where there are none.
    """

    min_steps: int
    max_steps: int
    first_ms: float
    step_ms: float

    def milliseconds(self, steps: int) -> float:
        """Return what a query of so many steps is expected to take."""
        return self.first_ms + (steps - self.min_steps) * self.step_ms


def calibrate(embedder: Embedder, *, clock: Callable[[], float] = time.perf_counter) -> StepTiming:
    """Measure an embedder; takes a second or two, or one query where that takes longer.

    Args:
        embedder: the model, loaded.
        clock: seconds, for the time limit; the steps state their own times.
    """
    info = embedder.info
    max_steps = min(info.max_steps, max(SLIDER_MAX_STEPS, info.min_steps))
    measured_steps = min(max_steps, info.min_steps + _MEASURED_STEPS)
    first: list[float] = []
    later: list[float] = []
    started = clock()
    for run in range(_RUNS + 1):
        seconds = [step.seconds for step in embedder.refine(_QUERY, max_steps=measured_steps)]
        if run == 1:  # the very first run also warms up; it counts only where there is no second
            first, later = [], []
        first.append(seconds[0])
        later += seconds[1:]
        if clock() - started > _BUDGET_S:
            break
    return StepTiming(
        min_steps=info.min_steps,
        max_steps=max_steps,
        first_ms=1000 * _typical(first),
        step_ms=1000 * _typical(later) if later else 0.0,
    )


def _typical(seconds: list[float]) -> float:
    # The faster half: what makes the others slow is something else that the machine was doing.
    return statistics.median(sorted(seconds)[: -(-len(seconds) // 2)])
