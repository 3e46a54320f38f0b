"""What a query costs on this machine, per refinement step.

Measured right after a model is loaded, and again by the searches that follow: when these take other
times, as the machine has more to do or less, their times count.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from indexer.embedder import Embedder
from indexer.searching.refining import MOST_STEPS

__all__ = ["Calibration", "StepTiming", "calibrate"]

_QUERY = "how long do dried beans have to soak before they are cooked"  # of ordinary length
_MEASURED_STEPS = 4
_RUNS = 12
_BUDGET_S = 1.5

_OBSERVED = 5
"""So many searches are looked back on; most of them have to agree that times have changed."""

_DRIFT = 1.25
"""Times within this factor are as measured: queries differ in length."""


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

    def steps_within(self, milliseconds: float) -> int:
        """Return how many steps a query is expected to get in a time; the fewest at least."""
        if self.step_ms <= 0.0:
            return self.min_steps
        further = int((milliseconds - self.first_ms) // self.step_ms)
        return min(self.max_steps, self.min_steps + max(0, further))


class Calibration:
    """What queries of one model cost here and now. Safe between threads.

    Args:
        measured: by ``calibrate``.
    """

    def __init__(self, measured: StepTiming) -> None:
        self._lock = threading.Lock()
        self._timing = measured
        self._first: deque[float] = deque(maxlen=_OBSERVED)
        self._steps: deque[float] = deque(maxlen=_OBSERVED)

    @property
    def timing(self) -> StepTiming:
        """The times that hold at present."""
        return self._timing

    def note(self, steps_ms: Sequence[float]) -> None:
        """Take in what a search observed.

        Args:
            steps_ms: time of each of its steps, from the model's smallest number of steps on.
        """
        first, *later = steps_ms
        with self._lock:
            self._first.append(first)
            if later:
                self._steps.append(statistics.median(later))
            self._timing = replace(
                self._timing,
                first_ms=_followed(self._timing.first_ms, self._first),
                step_ms=_followed(self._timing.step_ms, self._steps),
            )


def _followed(measured: float, observed: Sequence[float]) -> float:
    """Return a measured time, or what is observed instead where that has moved away from it."""
    if len(observed) < _OBSERVED:
        return measured
    now = statistics.median(observed)
    return measured if measured / _DRIFT <= now <= measured * _DRIFT else now


def calibrate(embedder: Embedder, *, clock: Callable[[], float] = time.perf_counter) -> StepTiming:
    """Measure an embedder; takes a second or two, or one query where that takes longer.

    Args:
        embedder: the model, loaded.
        clock: seconds, for the time limit; the steps state their own times.
    """
    info = embedder.info
    max_steps = min(info.max_steps, max(MOST_STEPS, info.min_steps))
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
