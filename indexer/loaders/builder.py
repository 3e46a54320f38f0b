"""Builds a ``Document`` from the blocks, headings and pages that a loader meets in reading order.

Knows how text and sections fit together and how the title is chosen; knows no format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from indexer.documents import Document, Section, document_id
from indexer.loaders.encoding import clean, one_line
from indexer.loaders.supervision import check_length

__all__ = ["DocumentBuilder"]

_WORDS = re.compile(r"\w+")
_MAX_FIELDS = 64
_MAX_FIELD_CHARS = 2000


class DocumentBuilder:
    """Collects the text of one document.

    Headings are part of the text, so that it reads as the document does, and of the heading path of
    the section they open.

    Args:
        source: address of the document; decides its id.
        name: file name, the title of documents that have none.
        media_type: a key of ``MEDIA_TYPES``.
    """

    def __init__(self, *, source: str, name: str, media_type: str) -> None:
        self._source = source
        self._name = name
        self._media_type = media_type
        self._parts: list[str] = []
        self._length = 0
        self._sections: list[Section] = []
        self._open = Section(0, 0)
        self._outline: list[tuple[int, str]] = []  # the open headings with their levels
        self._headings: list[tuple[int, str]] = []  # all headings with their levels
        self._starts_with_heading = False

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def block(self, text: str) -> None:
        """Add a paragraph, list item, table or listing, after a blank line."""
        self._append(text, "\n\n")

    def line(self, text: str) -> None:
        """Add text on a line of its own, right below what is there."""
        self._append(text, "\n")

    def heading(self, text: str, *, level: int) -> None:
        """Add a heading; what follows stands under it and the headings of lower level above it.

        Args:
            text: the heading; an empty one is ignored.
            level: 1 for the outermost; levels may be skipped.
        """
        text = one_line(text)
        if not text:
            return
        if not self._headings and not self._parts:
            self._starts_with_heading = True
        self._headings.append((level, text))
        while self._outline and self._outline[-1][0] >= level:
            self._outline.pop()
        self._outline.append((level, text))
        self.section(tuple(heading for _, heading in self._outline), page=self._open.page)
        self.block(text)

    def section(self, headings: tuple[str, ...], *, page: int | None = None) -> None:
        """Begin a section under a heading path that is not part of the text."""
        self._close_section()
        self._open = Section(self._length, self._length, headings, page)

    def build(
        self, *, title: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Document:
        """Return the document.

        Args:
            title: what the document says its title is; without it, an only outermost heading at
                its very beginning is the title, else the file name.
            metadata: further fields; empty ones are dropped, long ones cut.
        """
        self._close_section()
        title = one_line(title or "")
        sections = self._sections
        top = self._top_heading()
        if not title and self._starts_with_heading:
            title = top
        if top and _bare(top) in _bare(title):
            # the title stands before every heading path already
            sections = [replace(s, headings=_without_first(s.headings, top)) for s in sections]
        return Document(
            id=document_id(self._source),
            source=self._source,
            text="".join(self._parts),
            title=title or one_line(self._name) or "untitled",
            media_type=self._media_type,
            sections=tuple(sections),
            metadata=_tidy(metadata or {}),
        )

    def _append(self, text: str, separator: str) -> None:
        text = clean(text).rstrip()
        if not text.strip():
            return
        # a listing keeps the indentation of its first line, but not blank lines before it
        text = text[len(text) - len(text.lstrip("\n")) :]
        if self._parts:
            self._add(separator)
        start = self._length
        self._add(text)
        if self._open.start == self._open.end:
            self._open = replace(self._open, start=start)
        self._open = replace(self._open, end=self._length)

    def _add(self, part: str) -> None:
        check_length(self._length + len(part))
        self._parts.append(part)
        self._length += len(part)

    def _close_section(self) -> None:
        if self._open.end > self._open.start:
            self._sections.append(self._open)
        self._open = Section(self._length, self._length, self._open.headings, self._open.page)

    def _top_heading(self) -> str:
        """Return the first heading if no other is of its level or above, else an empty text."""
        if not self._headings:
            return ""
        level, text = self._headings[0]
        return text if all(other > level for other, _ in self._headings[1:]) else ""


def _bare(title: str) -> str:
    """Reduce a title to its words: headings often repeat it with other punctuation."""
    return " ".join(_WORDS.findall(title.casefold()))


def _without_first(headings: tuple[str, ...], first: str) -> tuple[str, ...]:
    return headings[1:] if headings[:1] == (first,) else headings


def _tidy(metadata: Mapping[str, str]) -> dict[str, str]:
    tidy = {
        one_line(key): one_line(value, limit=_MAX_FIELD_CHARS) for key, value in metadata.items()
    }
    kept = [(key, value) for key, value in tidy.items() if key and value]
    return dict(kept[:_MAX_FIELDS])
