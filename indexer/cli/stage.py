"""Says what a command is busy with when there is one thing after another to wait for.

On a terminal one line that changes; elsewhere a line now and then, so that a log shows life.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.status import Status

from indexer.cli.terminal import Terminal, one_line
from indexer.wording import size_text

__all__ = ["Stage"]

_DRAW_EVERY_S = 0.1
_LOG_EVERY_S = 15.0


class Stage(AbstractContextManager["Stage"]):
    """Shows what is being done.

    Args:
        terminal: where to; a quiet one shows nothing.
        beginning: what is done first.
    """

    def __init__(self, terminal: Terminal, beginning: str) -> None:
        self._terminal = terminal
        self._shown = terminal.status(f"{beginning} …")
        self._last = time.monotonic()

    def tell(self, what: str, done: int = 0, total: int = 0) -> None:
        """Say what is being done, how much of it is done, and how much there is (0: unknown)."""
        amount = f": {done:,} of {total:,}" if total else ""
        self._show(f"{what}{amount}", important=done == total)

    def tell_bytes(self, what: str, done: int, total: int = 0) -> None:
        """Say the same in bytes."""
        amount = f": {size_text(done)}" if done else ""
        self._show(
            f"{what}{amount}{f' of {size_text(total)}' if total else ''}", important=not done
        )

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shown.__exit__(kind, error, traceback)

    def _show(self, text: str, *, important: bool) -> None:
        passed = time.monotonic() - self._last
        if isinstance(self._shown, Status):
            if important or passed >= _DRAW_EVERY_S:
                self._last = time.monotonic()
                self._shown.update(one_line(f"{text} …"))
        elif passed >= _LOG_EVERY_S:
            self._last = time.monotonic()
            self._terminal.note(f"{text} …")
