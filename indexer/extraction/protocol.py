"""What parent and child say to each other: JSON with its length before it, over pipes.

Never pickle: a document may have taken over the parser that answers. So the parent builds documents
and chunks itself from plain values, and checks each of them.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

from indexer.documents import Chunk, Document, Section, chunk_id, document_id
from indexer.extraction.values import ExtractionRequest, ExtractionResult, Status
from indexer.loaders.media_types import MEDIA_TYPES

__all__ = [
    "LENGTH",
    "Message",
    "ProtocolError",
    "decode_message",
    "decode_result",
    "encode_message",
    "pack_chunks",
    "pack_document",
    "pack_path",
    "pack_result",
    "unpack_path",
]

LENGTH = struct.Struct(">Q")
_LIMIT = 2**63  # a database holds whole numbers of 64 bits
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")

Message = dict[str, Any]


class ProtocolError(Exception):
    """The other side sent what it should never send."""


def encode_message(message: Message) -> bytes:
    """Return a message with its length before it."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    # a lone surrogate gets through here and is refused by the other side
    body = text.encode("utf-8", "surrogatepass")
    return LENGTH.pack(len(body)) + body


def decode_message(body: bytes) -> Message:
    """Return the message in ``body``, whose length has been taken off.

    Raises:
        ProtocolError: it is no JSON object.
    """
    try:
        message = json.loads(body.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a message is not JSON") from error
    if not isinstance(message, dict):
        raise ProtocolError("a message is not an object")
    return message


def pack_path(path: Path) -> str:
    """Return a path as text, whatever bytes it has and whatever encoding this process uses."""
    return os.fsencode(path).decode("latin-1")


def unpack_path(packed: str) -> Path:
    """Return the path that ``pack_path`` packed."""
    return Path(os.fsdecode(packed.encode("latin-1")))


def pack_document(document: Document) -> Message:
    """Return a document as plain values; what the parent knows itself is left out."""
    return {
        "text": document.text,
        "title": document.title,
        "media_type": document.media_type,
        "sections": [[s.start, s.end, list(s.headings), s.page] for s in document.sections],
        "metadata": dict(document.metadata),
    }


def pack_chunks(chunks: Sequence[Chunk]) -> list[list[Any]]:
    """Return chunks as plain values; their texts are stretches of the document's."""
    return [[chunk.start, chunk.end, chunk.page, chunk.context] for chunk in chunks]


def pack_result(result: ExtractionResult) -> Message:
    """Return a result as plain values, as ``decode_result`` takes them."""
    document = None if result.document is None else pack_document(result.document)
    return {
        "status": result.status,
        "sha256": result.sha256,
        "size": result.size,
        "mtime_ns": result.mtime_ns,
        "document": document,
        "chunks": pack_chunks(result.chunks),
        "code": result.code,
        "message": result.message,
        "hint": result.hint,
    }


def decode_result(
    message: Message, request: ExtractionRequest, *, seconds: float
) -> ExtractionResult:
    """Build a result from what the child sent.

    Raises:
        ProtocolError: a value is missing, of the wrong type or out of range.
    """
    try:
        status = message["status"]
        if status not in get_args(Status):
            raise ProtocolError(f"unknown status {status!r}")
        document = chunks = None
        if status == "ready":
            document = _document(message["document"], request.source)
            chunks = _chunks(message["chunks"], document)
        return ExtractionResult(
            request=request,
            status=cast("Status", status),
            sha256=_optional_text(message["sha256"]),
            size=_natural(message["size"]),
            mtime_ns=_integer(message["mtime_ns"]),
            document=document,
            chunks=chunks or (),
            code=_optional_text(message["code"]),
            message=_optional_text(message["message"]),
            hint=_optional_text(message["hint"]),
            seconds=seconds,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"a result is malformed: {error!r}") from error


def _document(packed: Message, source: str) -> Document:
    text = _text(packed["text"])
    if packed["media_type"] not in MEDIA_TYPES:
        raise ProtocolError("unknown media type")
    sections: list[Section] = []
    position = 0
    for start, end, headings, page in packed["sections"]:
        _check_span(start, end, position, len(text))
        sections.append(Section(start, end, tuple(map(_text, headings)), _page(page)))
        position = end
    return Document(
        id=document_id(source),
        source=source,
        text=text,
        title=_text(packed["title"]),
        media_type=packed["media_type"],
        sections=tuple(sections),
        metadata={_text(key): _text(value) for key, value in packed["metadata"].items()},
    )


def _chunks(packed: list[list[Any]], document: Document) -> tuple[Chunk, ...]:
    chunks: list[Chunk] = []
    for start, end, page, context in packed:
        _check_span(start, end, 0, len(document.text))
        text = document.text[start:end]
        chunks.append(
            Chunk(
                id=chunk_id(document.id, start, end, text),
                document_id=document.id,
                text=text,
                start=start,
                end=end,
                page=_page(page),
                context=_text(context),
            )
        )
    return tuple(chunks)


def _check_span(start: object, end: object, low: int, high: int) -> None:
    if not low <= _natural(start) < _natural(end) <= high:
        raise ProtocolError(f"the span [{start}, {end}) is not within [{low}, {high})")


def _text(value: object) -> str:
    if not isinstance(value, str) or _FORBIDDEN.search(value):
        raise ProtocolError("a text is missing or holds what no text may")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProtocolError(f"{value!r} is not a whole number")
    if not -_LIMIT <= value < _LIMIT:
        raise ProtocolError("a number is out of range")
    return value


def _natural(value: object) -> int:
    number = _integer(value)
    if number < 0:
        raise ProtocolError(f"{number} is negative")
    return number


def _page(value: object) -> int | None:
    return None if value is None else _natural(value)
