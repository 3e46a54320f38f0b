"""What the threads that work in the background have in common: their beginning and their end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

__all__ = ["Background", "surprise_text"]


class Background(ABC):
    """Work in a thread of its own, until it is told to end.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._wake = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name=name)

    def start(self) -> None:
        """Begin to work; what an earlier run of the app left undone is gone on with."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the current batch and wait for that; what is not done stays to be done."""
        with self._wake:
            self._is_closing = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _work(self) -> None:
        """Work until ``_is_closing``, and survive any failure."""


def surprise_text(error: Exception) -> str:
    """Return what to tell users of an error that nobody thought of."""
    return (
        f"An unexpected error stopped it ({type(error).__name__}: {error}). Try again; the "
        "program's log has the details."
    )
