"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.searching.refining import Progress, Stop

__all__ = [
    "count_text",
    "duration_text",
    "milliseconds_text",
    "size_text",
    "stability_text",
    "steps_text",
    "stop_text",
    "time_text",
]

_STOPS: dict[Stop, str] = {
    "steps": "all steps were taken",
    "budget": "stopped by the time limit",
    "stable": "stopped as the first hits keep their places",
    "converged": "stopped as the query hardly moves any more",
}


def count_text(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``"1 document"`` or ``"1,204 documents"``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size_text(size_bytes: int) -> str:
    """Return a number of bytes, such as ``"4.2 MB"``."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def time_text(seconds: float) -> str:
    """Return a time since the epoch as local date and minute."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def duration_text(seconds: float) -> str:
    """Return a time left, such as ``"about 3 min"``; as exact as an estimate deserves."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def milliseconds_text(milliseconds: float) -> str:
    """Return a short time, such as ``"0.4 ms"``, ``"38 ms"`` or ``"1.2 s"``."""
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s"


def steps_text(steps: int) -> str:
    """Return a number of refinement steps, such as ``"1 step"``."""
    return count_text(steps, "step")


def stability_text(progress: Progress) -> str:
    """Return how sure the first hits are, such as ``"top 5 unchanged since step 4"``."""
    if not progress.top:
        return "nothing found so far"
    first = f"top {progress.top}" if progress.top > 1 else "the only hit"
    if progress.step == progress.first_step:
        return f"{first} as of step {progress.step}"
    if progress.is_moving:
        return f"{first} still moving at step {progress.step}"
    return f"{first} unchanged since step {progress.unchanged_since}"


def stop_text(stop: Stop) -> str:
    """Return why a search went no further."""
    return _STOPS[stop]
