"""What parent and child of a preview say to each other, and how the answers are checked.

A document may have taken over the parser that answers: nothing but plain values of the expected
types and sizes gets through, and HTML is sanitised here, on the side that no document has touched.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from indexer.extraction.protocol import Message, ProtocolError, pack_path, unpack_path
from indexer.preview.sanitizing import sanitize
from indexer.preview.values import (
    Box,
    Listing,
    Markup,
    PagePicture,
    Piece,
    Preview,
    PreviewRequest,
    Table,
    TableRow,
)

__all__ = ["decode_preview", "pack_request", "unpack_request"]

_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_KINDS = frozenset({"", "comment", "keyword", "name", "number", "string"})


def pack_request(request: PreviewRequest) -> Message:
    """Return a request as plain values."""
    return {
        "path": pack_path(request.path),
        "sha256": request.sha256,
        "media_type": request.media_type,
        "passage": request.passage,
        "highlights": [list(span) for span in request.highlights],
        "place": request.place,
        "page": request.page,
        "before": request.before,
        "after": request.after,
    }


def unpack_request(message: Message) -> PreviewRequest:
    """Return the request that ``pack_request`` packed."""
    return PreviewRequest(
        path=unpack_path(message["path"]),
        sha256=message["sha256"],
        media_type=message["media_type"],
        passage=message["passage"],
        highlights=tuple((start, end) for start, end in message["highlights"]),
        place=message["place"],
        page=message["page"],
        before=message["before"],
        after=message["after"],
    )


def decode_preview(message: Message, media_type: str) -> Preview:
    """Build a preview from what the child sent.

    Raises:
        ProtocolError: a value is missing, of the wrong type or out of range.
    """
    try:
        match media_type:
            case "pdf":
                return _page(message)
            case "markdown" | "html":
                return _markup(message)
            case "csv" | "xlsx":
                return _table(message)
            case _:
                return _listing(message)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ProtocolError(f"a preview is malformed: {error!r}") from error


def _page(message: Message) -> PagePicture:
    kind, content = message["picture_type"], base64.b64decode(message["picture"], validate=True)
    if not content.startswith(_PICTURES[kind]):
        raise ProtocolError("a picture is none")
    return PagePicture(
        page=_natural(message["page"]),
        pages=_natural(message["pages"]),
        picture=content,
        picture_type=kind,
        width=_natural(message["width"]),
        height=_natural(message["height"]),
        passage=_boxes(message["passage"]),
        highlights=_boxes(message["highlights"]),
    )


def _boxes(values: Sequence[Sequence[float]]) -> tuple[Box, ...]:
    return tuple(Box(*map(_share, box)) for box in values)


def _markup(message: Message) -> Markup:
    return Markup(
        html=sanitize(_text(message["html"]), keeps_marks=True),
        is_start=_flag(message["is_start"]),
        is_end=_flag(message["is_end"]),
        has_passage=_flag(message["has_passage"]),
    )


def _table(message: Message) -> Table:
    return Table(
        name=_text(message["name"]),
        header=_texts(message["header"]),
        rows=tuple(
            TableRow(_natural(number), _texts(cells), _flag(is_found))
            for number, cells, is_found in message["rows"]
        ),
        is_start=_flag(message["is_start"]),
        is_end=_flag(message["is_end"]),
        hidden_columns=_natural(message["hidden_columns"]),
    )


def _listing(message: Message) -> Listing:
    passage = message["passage"]
    return Listing(
        language=_text(message["language"]),
        first_line=_natural(message["first_line"]),
        lines=tuple(tuple(_piece(*piece) for piece in line) for line in message["lines"]),
        passage=None if passage is None else (_natural(passage[0]), _natural(passage[1])),
        is_start=_flag(message["is_start"]),
        is_end=_flag(message["is_end"]),
    )


def _piece(text: object, kind: object, is_highlighted: object) -> Piece:
    if kind not in _KINDS:
        raise ProtocolError("unknown kind of word")
    return Piece(_text(text), _text(kind), _flag(is_highlighted))


def _text(value: Any) -> str:  # noqa: ANN401 - that is what is found out
    if not isinstance(value, str):
        raise ProtocolError("a text is missing")
    return value


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ProtocolError(f"{value!r} is not true or false")
    return value


def _natural(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ProtocolError(f"{value!r} is not a natural number")
    return value


def _share(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ProtocolError(f"{value!r} is no share of a page")
    return float(value)
