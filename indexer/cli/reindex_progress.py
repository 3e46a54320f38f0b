"""Progress of a rebuild on stderr: a bar with the time left on a terminal, lines in a log."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from indexer.cli.terminal import Terminal, one_line
from indexer.wording import count_text, duration_text

if TYPE_CHECKING:
    from indexer.reindexing.progress import Phase, ReindexProgress

__all__ = ["ReindexDisplay", "phase_text"]

_LOG_EVERY_S = 15.0
_PHASES: dict[Phase, str] = {
    "comparing": "Comparing",
    "embedding": "Embedding",
    "waiting": "Waiting",
    "indexing": "Building the index",
    "measuring": "Measuring",
    "swapping": "Swapping",
}


def phase_text(phase: str) -> str:
    """Return what a phase is called where people read it."""
    return {str(known): text for known, text in _PHASES.items()}.get(phase, phase)


class ReindexDisplay(AbstractContextManager["ReindexDisplay"]):
    """Shows how far a rebuild is; silent where nothing is to be said.

    Args:
        terminal: where.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told_at = -_LOG_EVERY_S
        self._told_phase = ""
        self._bar: Progress | None = None
        if terminal.is_live:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[said]}", markup=False, style="dim"),
                console=terminal.err,
                transient=True,
                redirect_stdout=False,
            )
            self._task = self._bar.add_task(phase_text("comparing"), total=None, said="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, progress: ReindexProgress) -> None:
        """Show a new state."""
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=phase_text(progress.phase),
                total=progress.total or None,
                completed=progress.done,
                said=_said(progress),
            )
            return
        now = time.monotonic()
        if progress.phase != self._told_phase or now - self._told_at >= _LOG_EVERY_S:
            self._told_at, self._told_phase = now, progress.phase
            self._terminal.note(f"{phase_text(progress.phase)}: {_said(progress) or '...'}")

    def say(self, text: str) -> None:
        """Say what is being done while nothing is counted."""
        if self._bar is not None:
            self._bar.update(self._task, said=text)
        else:
            self._terminal.note(text)


def _said(progress: ReindexProgress) -> str:
    parts = []
    if progress.total:
        parts.append(f"{progress.done:,} of {count_text(progress.total, 'chunk')}")
    if progress.seconds_left is not None:
        parts.append(f"{duration_text(progress.seconds_left)} left")
    if progress.detail:
        parts.append(one_line(progress.detail))
    return ", ".join(parts)
