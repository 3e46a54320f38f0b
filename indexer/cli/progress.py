"""Progress of a run on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from indexer.cli.terminal import Terminal, one_line
from indexer.wording import count_text

if TYPE_CHECKING:
    from indexer.indexing.index_report import IndexProgress

__all__ = ["ProgressDisplay", "progress_display"]

_LOG_EVERY_S = 15.0
_MEDIUM, _WIDE = 60, 90
"""Columns of the terminal from which the rate and the file at hand are shown."""


class ProgressDisplay(AbstractContextManager["ProgressDisplay"], Protocol):
    """Shows how far a run is."""

    def update(self, progress: IndexProgress) -> None:
        """Show a new state."""

    def phase(self, text: str) -> None:
        """Say what is being done before there is anything to count."""


def progress_display(terminal: Terminal) -> ProgressDisplay:
    """Return the display that fits: none when quiet, lines where stderr is not a terminal."""
    if terminal.quiet:
        return _Silent()
    if terminal.is_live:
        return _Bar(terminal)
    return _Lines(terminal)


class _Silent:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def update(self, progress: IndexProgress) -> None:
        """Show nothing."""

    def phase(self, text: str) -> None:
        """Show nothing."""


class _Lines(_Silent):
    """One line at each change of phase and every few seconds, for logs and pipes."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown_at = time.monotonic()

    def update(self, progress: IndexProgress) -> None:
        now = time.monotonic()
        if now - self._shown_at < _LOG_EVERY_S:
            return
        self._shown_at = now
        self._terminal.note(
            f"{progress.phase}: {progress.files_done} of {progress.files_total} files,"
            f" {count_text(progress.chunks_embedded, 'chunk')} embedded,"
            f" {_chunks_per_second(progress):.1f} chunks/s"
        )

    def phase(self, text: str) -> None:
        self._terminal.note(text)


class _Bar(_Silent):
    """A bar with files, rate, time left and the file at hand."""

    def __init__(self, terminal: Terminal) -> None:
        width = terminal.err.width
        has_source = width >= _WIDE
        columns: list[ProgressColumn] = [
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24 if has_source else None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        ]
        if width >= _MEDIUM:
            columns.insert(-1, _RateColumn())
        if has_source:
            rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
            columns.append(_SourceColumn(table_column=rest))
        self._progress = Progress(
            *columns, console=terminal.err, transient=True, expand=True, redirect_stdout=False
        )
        self._task = self._progress.add_task(
            "Looking for files", total=None, rate=0.0, source="", start=True
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, progress: IndexProgress) -> None:
        self._progress.update(
            self._task,
            description=progress.phase.capitalize(),
            total=progress.files_total or None,
            completed=progress.files_done,
            rate=_chunks_per_second(progress),
            source=progress.current_source or "",
        )

    def phase(self, text: str) -> None:
        self._progress.update(self._task, description=text, refresh=True)  # however short it is


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate: float = task.fields["rate"]
        return Text(f"{rate:.1f} chunks/s" if rate else "", style="progress.data.speed")


class _SourceColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        source: str = task.fields["source"]
        return Text(one_line(source.rpartition("/")[2]), style="dim")


def _chunks_per_second(progress: IndexProgress) -> float:
    return progress.chunks_embedded / progress.seconds if progress.seconds > 0 else 0.0
