"""Times the parts of a search that may pause between its results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["SearchClock"]


class SearchClock:
    """Sums up the time of each part, and of all of it.

    Args:
        seconds: tells the time; its zero does not matter.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._began = seconds()
        self._parts: dict[str, float] = {}

    def now(self) -> float:
        """Return seconds since the search began, pauses included."""
        return self._seconds() - self._began

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        started = self._seconds()
        try:
            yield
        finally:
            elapsed = 1000.0 * (self._seconds() - started)
            self._parts[name] = self._parts.get(name, 0.0) + elapsed

    def milliseconds(self, *, paused_s: float) -> dict[str, float]:
        """Return the time of each part that ran, and the ``total`` without pauses.

        Args:
            paused_s: seconds that the search waited for whoever reads its results.
        """
        return {**self._parts, "total": 1000.0 * (self.now() - paused_s)}
