"""Ctrl-C while indexing: the first one asks for an orderly end, the second one stops at once."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

from indexer.cli.terminal import Terminal

__all__ = ["StopOnSignal"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal:
    """Turns SIGINT and SIGTERM into a wish that a long run can look at between batches.

    Args:
        terminal: where the wish is confirmed.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._requested = threading.Event()
        self._previous: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._requested.is_set()

    def __enter__(self) -> Self:
        # Signals belong to the main thread; elsewhere (a test runner's worker) they are left alone.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested.is_set():
            raise KeyboardInterrupt
        self._requested.set()
        # No rich here: the interrupted code may hold the console's lock.
        with suppress(OSError, RuntimeError):  # nobody reads it, or it interrupted itself
            self._terminal.err.file.write(
                "\nStopping after the current batch; nothing is lost. Once more stops at once.\n"
            )
