"""What a running loader tells its caller, and the bound that it keeps.

The caller installs both with ``supervised``; loaders call ``report`` before each step that can hang
and ``check_length`` before text piles up. Outside of ``supervised``, reports go nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from indexer.errors import ExtractionError

__all__ = ["MAX_TEXT_CHARS", "check_length", "report", "supervised"]

MAX_TEXT_CHARS = 32 * 1024 * 1024
"""Default bound on the characters of one document: some forty times War and Peace."""

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)
_max_text_chars: ContextVar[int] = ContextVar("max_text_chars", default=MAX_TEXT_CHARS)


@contextmanager
def supervised(
    listener: Callable[[str], None], *, max_text_chars: int = MAX_TEXT_CHARS
) -> Iterator[None]:
    """Send the reports of the loaders called inside to ``listener`` and bound their texts."""
    tokens = _listener.set(listener), _max_text_chars.set(max_text_chars)
    try:
        yield
    finally:
        _listener.reset(tokens[0])
        _max_text_chars.reset(tokens[1])


def report(place: str) -> None:
    """Say where reading is now, such as ``"page 3 of 20"``."""
    listener = _listener.get()
    if listener is not None:
        listener(place)


def check_length(chars: int) -> None:
    """Stop a document whose text grows past the bound.

    Raises:
        ExtractionError: ``too_long``.
    """
    limit = _max_text_chars.get()
    if chars > limit:
        raise ExtractionError(
            "too_long",
            f"its text is longer than {limit:,} characters",
            hint="split the file into smaller ones",
        )
