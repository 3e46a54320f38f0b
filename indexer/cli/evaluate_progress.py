"""Progress of an evaluation on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from indexer.cli.terminal import Terminal, one_line

if TYPE_CHECKING:
    from indexer.evaluation.study import EvaluationProgress

__all__ = ["EvaluationDisplay"]

_LOG_EVERY_S = 15.0


class EvaluationDisplay(AbstractContextManager["EvaluationDisplay"]):
    """Shows how far an evaluation is; silent where nothing is to be said.

    Args:
        terminal: where.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown_at = time.monotonic()
        self._bar: Progress | None = None
        if terminal.is_live:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=terminal.err,
                transient=True,
                redirect_stdout=False,
            )
            self._task = self._bar.add_task("Reading the sets", total=None)

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

    def update(self, progress: EvaluationProgress) -> None:
        """Show a new state."""
        phase = one_line(progress.phase)
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=phase,
                total=progress.total or None,
                completed=progress.done,
            )
        elif time.monotonic() - self._shown_at >= _LOG_EVERY_S:
            self._shown_at = time.monotonic()
            count = f", {progress.done} of {progress.total} texts" if progress.total else ""
            self._terminal.note(f"{phase}{count}")
