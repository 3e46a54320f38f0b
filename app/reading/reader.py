"""The part of a document around a passage, for reading on in it, and the ways to show it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from indexer.documents import Chunk, Document

__all__ = ["TEXT", "Passage", "Reach", "Window", "first_reach", "locate", "view_names", "window"]

TEXT = "Text"
"""The view that every document has: its extracted text."""

_VIEWS = {
    "pdf": "Page",
    "markdown": "Formatted",
    "html": "Formatted",
    "csv": "Table",
    "xlsx": "Table",
    "code": "Code",
}
_EDGE_CHARS = 200


def view_names(media_type: str) -> tuple[str, ...]:
    """Return the views of a document, the first to be chosen first."""
    view = _VIEWS.get(media_type)
    return (view, TEXT) if view else (TEXT,)


@dataclass(frozen=True, slots=True)
class Reach:
    """How much is shown around a passage, in characters, lines or rows.

    Args:
        before: how much that leads up to it.
        after: how much that follows.
        step: how much more at a time.
    """

    before: int
    after: int
    step: int

    def earlier(self) -> Reach:
        """Return the reach after a step back."""
        return replace(self, before=self.before + self.step)

    def further(self) -> Reach:
        """Return the reach after a step on."""
        return replace(self, after=self.after + self.step)


def first_reach(media_type: str) -> Reach:
    """Return how much is shown at first."""
    match media_type:
        case "code":
            return Reach(60, 60, 200)
        case "csv" | "xlsx":
            return Reach(25, 25, 100)
        case _:
            return Reach(2_000, 2_000, 8_000)


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage in its document, or the document's beginning.

    Args:
        document: as it was indexed.
        chunk: the passage; None stands for the beginning.
        start: where it stands in the document's text.
        end: one past its last character.
    """

    document: Document
    chunk: Chunk | None
    start: int
    end: int

    @property
    def page(self) -> int:
        """The page on which it stands; 1 where the format has no pages."""
        return self.chunk.page if self.chunk and self.chunk.page else 1


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
