"""The part of a passage worth showing in a few lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["excerpt"]

_WORD = re.compile(r"\S+")
_BLANK = re.compile(r"\s")
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
    """Return the start of a word from which ``limit`` characters show most of the highlights."""
    if len(text) <= limit or not spans:
        return 0
    best, best_worth = (0, 0), (0, 0)
    for index, (first, _) in enumerate(spans):
        inside = [span for span in spans[index:] if span[1] <= first + limit]
        # Different words say more about the passage than one word many times.
        worth = len({text[begin:end].casefold() for begin, end in inside}), len(inside)
        if worth > best_worth:
            best, best_worth = (first, inside[-1][1]), worth
    first, last = best
    start = first - (limit - (last - first)) // 2  # as much before the highlights as after them
    start = min(max(0, start), len(text) - limit)
    if start == 0:
        return 0
    blank = _BLANK.search(text, start - 1)  # on to the next whole word
    return blank.end() if blank and blank.start() < first else start
