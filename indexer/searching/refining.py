"""When to stop refining a query: at a number of steps, at a time, or when nothing moves any more.

Arithmetic over ids and seconds; knows neither stores nor models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "CONVERGED",
    "MOST_STEPS",
    "STABLE_STEPS",
    "STABLE_TOP",
    "Pace",
    "Progress",
    "Stability",
    "Stop",
]

Stop = Literal["steps", "budget", "stable", "converged"]

MOST_STEPS = 20
"""Models may define more; beyond this nobody has measured that it helps."""

STABLE_TOP = 5
"""So many of the first hits are watched."""

STABLE_STEPS = 3
"""After so many steps that changed none of them nothing more is expected to."""

CONVERGED = 1e-4
"""A step that turns the vector by less (one minus the cosine) is the last: all that are left turn
it by less than their sum, which changes ranks between next to equal passages only."""

_CHEAP_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a query has been refined, as one look at the collection saw it.

    Args:
        first_step: the step of the first look.
        step: the step of this look.
        unchanged_since: the first of the looks up to this one in which the first hits were the
            same, in the same order; ``step`` itself where this look changed them.
        top: how many first hits that speaks of; less than ``STABLE_TOP`` where fewer were found.
        stopped: why this is the last look; None while there are more to come.
    """

    first_step: int
    step: int
    unchanged_since: int
    top: int
    stopped: Stop | None

    @property
    def is_moving(self) -> bool:
        """Whether this look changed the first hits; the first look of all tells nothing."""
        return self.unchanged_since == self.step


@dataclass(slots=True)
class Stability:
    """Watches the first hits from look to look."""

    first_step: int | None = None
    since: int = 0
    _seen: tuple[str, ...] = field(default=())

    def note(self, step: int, ranking: Sequence[str]) -> None:
        """Take in what a look found, best first."""
        seen = tuple(ranking[:STABLE_TOP])
        if self.first_step is None:
            self.first_step = self.since = step
        elif seen != self._seen:
            self.since = step
        self._seen = seen

    def is_stable(self, step: int) -> bool:
        """Return whether enough steps have changed nothing."""
        return step - self.since >= STABLE_STEPS

    def progress(self, step: int, stopped: Stop | None) -> Progress:
        """Say how far it is at a step that was noted."""
        first = step if self.first_step is None else self.first_step
        return Progress(first, step, self.since, len(self._seen), stopped)


@dataclass(slots=True)
class Pace:
    """Weighs what further steps and looks take against the time there is.

    Args:
        budget_s: the time for all of it; None where there is no limit.
    """

    budget_s: float | None
    steps_s: float = 0.0
    looks_s: float = 0.0
    looks: int = 0
    _step_s: float = 0.0
    _look_s: float = 0.0
    _last_look_s: float = 0.0

    def note_step(self, seconds: float) -> None:
        """Take in what a step took."""
        self.steps_s += seconds
        # The slower one of two: one may be lucky.
        self._step_s = max(seconds, self._step_s / 2)

    def note_look(self, seconds: float) -> None:
        """Take in what a look took."""
        self.looks += 1
        self.looks_s += seconds
        self._last_look_s = seconds
        self._look_s = max(seconds, self._look_s / 2)

    def has_time(self, elapsed_s: float, *, looks: int = 1) -> bool:
        """Return whether a further step still fits, with so many looks.

        Args:
            elapsed_s: since the search began.
            looks: to be taken; the last one is the answer.
        """
        if self.budget_s is None:
            return True
        return elapsed_s + self._step_s + looks * self._look_s <= self.budget_s

    def is_worth_a_look(self) -> bool:
        """Return whether looking now is in proportion.

        Where the index answers at once, every step is looked at; where that takes longer than the
        steps themselves, only so often that half of the time is left for these. The first look,
        which may have to open the index, is not judged by.
        """
        if self.looks < 2:
            return True
        last = self._last_look_s
        return last <= _CHEAP_LOOK_S or self.looks_s + last <= self.steps_s
