"""How far a rebuild is, and how long it will take. Plain values and a stopwatch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["OnReindexProgress", "Phase", "ReindexProgress", "Stopwatch"]

Phase = Literal["comparing", "embedding", "waiting", "indexing", "measuring", "swapping"]

_TELL_S = 0.1
_TRUSTED_S = 2.0


@dataclass(frozen=True, slots=True)
class ReindexProgress:
    """Where a rebuild is.

    Args:
        phase: what it is doing.
        done: chunks that this phase is done with, those of earlier runs included.
        total: chunks that it is about; 0 where nothing is counted.
        embedded: texts that the model has read in this run.
        seconds: since the run began.
        seconds_left: until the phase ends, as far as can be told; None where that is unknown.
        detail: what is being waited for, or what was chosen; may be empty.
    """

    phase: Phase
    done: int
    total: int
    embedded: int
    seconds: float
    seconds_left: float | None
    detail: str = ""


OnReindexProgress = Callable[[ReindexProgress], None]


class Stopwatch:
    """Tells a listener where a rebuild is, not more often than anybody can look.

    Args:
        on_progress: the listener.
    """

    def __init__(self, on_progress: OnReindexProgress | None) -> None:
        self._on_progress = on_progress
        self._started = time.perf_counter()
        self._told = 0.0
        self._phase: Phase = "comparing"
        self._phase_started = self._started
        self._begun_at = 0
        self._done = 0
        self._total = 0
        self._detail = ""
        self.embedded = 0

    @property
    def seconds(self) -> float:
        """Time since the run began."""
        return time.perf_counter() - self._started

    def enter(self, phase: Phase, *, done: int = 0, total: int = 0, detail: str = "") -> None:
        """Begin a phase, or begin it again with other numbers."""
        if phase != self._phase or total:
            self._phase_started = time.perf_counter()
            self._begun_at = done
        self._phase, self._done, self._total, self._detail = phase, done, total, detail
        self.tell(force=True)

    def reach(self, done: int, *, total: int | None = None) -> None:
        """Note how far the phase is."""
        self._done = done
        self._total = self._total if total is None else total
        self.tell()

    def advance(self, amount: int) -> None:
        """Note that the phase is further by so many chunks."""
        self.reach(min(self._done + amount, self._total))

    def tell(self, *, force: bool = False) -> None:
        """Tell the listener, if it is time to."""
        now = time.perf_counter()
        if self._on_progress is None or (now - self._told < _TELL_S and not force):
            return
        self._told = now
        self._on_progress(
            ReindexProgress(
                phase=self._phase,
                done=self._done,
                total=self._total,
                embedded=self.embedded,
                seconds=now - self._started,
                seconds_left=self._seconds_left(now - self._phase_started),
                detail=self._detail,
            )
        )

    def _seconds_left(self, elapsed: float) -> float | None:
        gained = self._done - self._begun_at
        if not self._total or gained <= 0 or elapsed < _TRUSTED_S:
            return None
        return (self._total - self._done) * elapsed / gained
