"""The part of a document around a passage, for reading on in it."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.documents import Chunk, Document

__all__ = ["Window", "locate", "window"]

_EDGE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of text in three parts.

    Args:
        before: text that leads up to the passage.
        passage: the passage; empty when it is not in the document any more.
        after: text that follows.
        is_start: ``before`` begins where the document does.
        is_end: ``after`` ends where the document does.
    """

    before: str
    passage: str
    after: str
    is_start: bool
    is_end: bool


def locate(document: Document, chunk: Chunk) -> tuple[int, int] | None:
    """Return where the passage stands in the document as it is now; None when it does not."""
    if document.text[chunk.start : chunk.end] == chunk.text:
        return chunk.start, chunk.end
    found = document.text.find(chunk.text)
    return (found, found + len(chunk.text)) if found >= 0 else None


def window(text: str, start: int, end: int, *, before: int, after: int) -> Window:
    """Return about ``before`` and ``after`` characters around ``text[start:end]``.

    Both ends are moved outward to the end of a line or word where one is near.
    """
    first = _line_start(text, max(0, start - before))
    last = _line_end(text, min(len(text), end + after))
    return Window(
        before=text[first:start],
        passage=text[start:end],
        after=text[end:last],
        is_start=first == 0,
        is_end=last == len(text),
    )


def _line_start(text: str, place: int) -> int:
    for sign in "\n ":
        found = text.rfind(sign, max(0, place - _EDGE_CHARS), place)
        if found >= 0:
            return found + 1
    return place if place > _EDGE_CHARS else 0


def _line_end(text: str, place: int) -> int:
    for sign in "\n ":
        found = text.find(sign, place, place + _EDGE_CHARS)
        if found >= 0:
            return found
    return place if place + _EDGE_CHARS < len(text) else len(text)
