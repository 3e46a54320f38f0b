"""Turns strangers' text into HTML and Markdown that shows it and does nothing else.

Every string of a document, a file name or an error passes through here on its way to the browser.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

__all__ = ["highlighted", "markdown_text", "plain", "visible_line"]

# C0 and C1 controls without tab and newline, lone surrogates, and the overrides that can make a
# name read as another one.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: str) -> str:
    """Return text as HTML that shows exactly it; control characters become U+FFFD."""
    return html.escape(_CONTROLS.sub("\ufffd", text), quote=True)


def visible_line(text: str) -> str:
    """Return text for a place that shows one line of plain text, such as a cell of a table."""
    return _CONTROLS.sub("\ufffd", text.replace("\n", "\u2424").replace("\r", "\u240d"))


def markdown_text(text: str) -> str:
    """Return text for a place that only takes Markdown: no markup, directive or formula in it.

    Line breaks stay, and so do the blanks that a line starts with.
    """
    lines = _CONTROLS.sub("\ufffd", text).splitlines()
    return "  \n".join(_markdown_line(line) for line in lines)


def _markdown_line(line: str) -> str:
    content = line.lstrip(" \t")
    indent = "\u00a0" * (len(line) - len(content))
    return indent + _PUNCTUATION.sub(r"\\\1", content)


def highlighted(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return text as HTML with the given spans marked.

    Args:
        text: the passage.
        spans: ordered, disjoint character ranges; parts outside of the text are passed over.
    """
    parts: list[str] = []
    place = 0
    for start, end in spans:
        start, end = max(start, place), min(end, len(text))
        if start >= end:
            continue
        parts.append(plain(text[place:start]))
        parts.append(f"<mark>{plain(text[start:end])}</mark>")
        place = end
    parts.append(plain(text[place:]))
    return "".join(parts)
