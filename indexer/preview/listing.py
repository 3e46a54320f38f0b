"""Shows source code with the kinds of its words and a passage marked. In the child process."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.token import Comment, Keyword, Name, Number, String
from pygments.util import ClassNotFound

from indexer.errors import ExtractionError
from indexer.extraction.protocol import Message
from indexer.loaders.code import language_of
from indexer.loaders.encoding import decode
from indexer.preview.alignment import align
from indexer.preview.values import PreviewRequest

__all__ = ["show_listing"]

_MAX_COLOURED_CHARS = 1_000_000
_MAX_SHOWN_CHARS = 400_000
_KINDS: tuple[tuple[Any, str], ...] = (
    (Comment, "comment"),
    (String, "string"),
    (Number, "number"),
    (Keyword, "keyword"),
    (Name.Function, "name"),
    (Name.Class, "name"),
    (Name.Decorator, "name"),
    (Name.Tag, "name"),
    (Name.Attribute, "name"),
)


def show_listing(data: bytes, request: PreviewRequest) -> Message:
    """Return lines of a source file around the passage, as ``protocol`` takes them.

    Raises:
        ExtractionError: it is no text, or its lines are too long to be shown.
    """
    text = decode(data)
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    found = align(request.passage, text, place=request.place) if request.passage else None
    lines = _lines(found.span, starts) if found else (0, 0)
    first = max(0, lines[0] - request.before)
    last = min(len(starts) - 2, lines[1] + request.after)
    window = starts[first], starts[last + 1] - 1
    if window[1] - window[0] > _MAX_SHOWN_CHARS:
        raise ExtractionError(
            "too_long",
            f"lines {first + 1} to {last + 1} have {window[1] - window[0]:,} characters",
            hint="its text can be read",
        )
    marks = [span for part in request.highlights for span in found.project(part)] if found else []
    coloured = _coloured(text, request.path.name)
    pieces = _cut_at(coloured, window, sorted({edge for span in marks for edge in span}))
    shown: list[list[list[object]]] = [[]]
    for start, piece, kind in pieces:
        is_marked = any(begin <= start < end for begin, end in marks)
        for number, part in enumerate(piece.split("\n")):
            if number:
                shown.append([])
            _append(shown[-1], part, kind, is_marked)
    return {
        "language": language_of(request.path.name),
        "first_line": first + 1,
        "lines": shown,
        "passage": [lines[0] + 1, lines[1] + 1] if found else None,
        "is_start": first == 0,
        "is_end": last == len(starts) - 2,
    }


def _append(line: list[list[object]], text: str, kind: str, is_marked: bool) -> None:
    if line and line[-1][1:] == [kind, is_marked]:
        line[-1][0] = f"{line[-1][0]}{text}"
    elif text:
        line.append([text, kind, is_marked])


def _lines(span: tuple[int, int], starts: list[int]) -> tuple[int, int]:
    return bisect_right(starts, span[0]) - 1, bisect_right(starts, span[1] - 1) - 1


def _coloured(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield all of the text in pieces with the kind of each."""
    for _, kind, piece in _lexer(text, name).get_tokens_unprocessed(text):
        yield piece, next((ours for theirs, ours in _KINDS if kind in theirs), "")


def _lexer(text: str, name: str) -> Lexer:
    if len(text) <= _MAX_COLOURED_CHARS:
        try:
            return get_lexer_for_filename(name)
        except ClassNotFound:
            pass
    return TextLexer()


def _cut_at(
    pieces: Iterator[tuple[str, str]], window: tuple[int, int], edges: list[int]
) -> Iterator[tuple[int, str, str]]:
    """Yield the pieces within the window, cut at edges, each with where it begins."""
    place = 0
    for piece, kind in pieces:
        start, end = max(place, window[0]), min(place + len(piece), window[1])
        if start < end:
            inner = [start, *(edge for edge in edges if start < edge < end), end]
            for one, other in pairwise(inner):
                yield one, piece[one - place : other - place], kind
        place += len(piece)
        if place >= window[1]:
            return
