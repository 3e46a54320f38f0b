"""The part of a passage worth showing in a few lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["excerpt"]

_WORD = re.compile(r"\S+")
_LEAD_CHARS = 80
_ELLIPSIS = "… "


def excerpt(
    text: str, spans: Sequence[tuple[int, int]], *, limit: int
) -> tuple[str, list[tuple[int, int]]]:
    """Return at most about ``limit`` characters around the most highlights, on one line.

    Args:
        text: the passage.
        spans: ordered character ranges to highlight.
        limit: how many characters of the passage to keep; a word is never cut.

    Returns:
        The text with runs of white space made one blank, "…" where something is left out, and
        the highlights that are left, at their new places.
    """
    start = _window_start(text, spans, limit)
    lead = _ELLIPSIS if text[:start].strip() else ""
    words: list[str] = []
    moved: list[tuple[int, int]] = []
    length = len(lead)
    cut = False
    for match in _WORD.finditer(text):
        if match.start() < start:
            continue
        if words and match.end() > start + limit:
            cut = True
            break
        length += 1 if words else 0
        shift = length - match.start()
        moved += [
            (max(first, match.start()) + shift, min(last, match.end()) + shift)
            for first, last in spans
            if first < match.end() and last > match.start()
        ]
        words.append(match[0])
        length += len(match[0])
    return lead + " ".join(words) + (" …" if cut else ""), moved


def _window_start(text: str, spans: Sequence[tuple[int, int]], limit: int) -> int:
    """Return the start of a word from which ``limit`` characters hold the most highlights."""
    if len(text) <= limit or not spans:
        return 0
    best, best_count = 0, -1
    for first, _ in spans:
        start = max(0, first - _LEAD_CHARS)
        count = sum(start <= begin and end <= start + limit for begin, end in spans)
        if count > best_count:
            best, best_count = start, count
    if best == 0:
        return 0
    blank = re.compile(r"\s").search(text, best)  # on to the next whole word
    return blank.end() if blank else best
