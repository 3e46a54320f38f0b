"""Progress of a training run on stderr: one live line on a terminal, now and then one in a log."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.text import Text

from indexer.cli.terminal import Terminal, one_line
from indexer.wording import duration_text

if TYPE_CHECKING:
    from indexer.training import TrainingProgress

__all__ = ["TrainingDisplay"]

_LOG_EVERY_S = 15.0
_MEMORY = 0.95  # of the losses shown: single batches of different sources jump


class TrainingDisplay(AbstractContextManager["TrainingDisplay"]):
    """Shows how a run goes; silent where nothing is to be said.

    Args:
        terminal: where.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown_at = -_LOG_EVERY_S
        self._losses: dict[int, float] = {}
        self._live = (
            Live(Text("Loading"), console=terminal.err, transient=True, redirect_stdout=False)
            if terminal.is_live
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, progress: TrainingProgress) -> None:
        """Show one update."""
        for step, loss in progress.step_losses.items():
            before = self._losses.get(step, loss)
            self._losses[step] = _MEMORY * before + (1 - _MEMORY) * loss
        if self._live is not None:
            self._live.update(Text(self._line(progress), no_wrap=True, overflow="ellipsis"))
        elif time.monotonic() - self._shown_at >= _LOG_EVERY_S or _is_last(progress):
            self._shown_at = time.monotonic()
            self._terminal.note(self._line(progress))

    def _line(self, progress: TrainingProgress) -> str:
        losses = " ".join(f"{step}:{loss:.3f}" for step, loss in self._losses.items())
        return (
            f"{progress.update}/{progress.updates}  loss {losses}"
            f"  {progress.examples_per_second:.1f} pairs/s"
            f"  {duration_text(progress.seconds_left)} left  {one_line(progress.source)}"
        )


def _is_last(progress: TrainingProgress) -> bool:
    return progress.update == progress.updates
