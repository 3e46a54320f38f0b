"""Chunks and documents as points of Qdrant, and back again. Knows no connection."""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from indexer.documents import Chunk, Document, Section
from indexer.stores.base import DocumentRecord, StoredChunk
from indexer.stores.qdrant.layout import DENSE, WORDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qdrant_client import models

__all__ = [
    "RECORD_FIELDS",
    "STATE_ID",
    "chunk_point",
    "document_of",
    "document_points",
    "is_point_id",
    "part_id",
    "record_of",
    "stored_chunk",
]

STATE_ID = "5a6f1d0e-7a1c-5c55-9f0a-0d6b1f0c2a77"
"""The point that says how far Qdrant follows the content."""

RECORD_FIELDS = [
    "document",
    "source",
    "title",
    "media_type",
    "modified_at",
    "size_bytes",
    "chunks",
    "metadata",
]

_PARTS = uuid.UUID("0f1b7a52-9c1e-5d0b-8a37-2f1f0e7b4c90")
_PART_BYTES = 4 * 1024 * 1024


def is_point_id(text: str) -> bool:
    """Return whether a text is a UUID as we write them: Qdrant refuses a request with any other."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def chunk_point(
    stored: StoredChunk,
    vector: NDArray[np.float32],
    weights: Mapping[int, float],
    *,
    tokens: int,
    revision: str,
) -> models.PointStruct:
    """Return the point of a chunk.

    Args:
        stored: the chunk with its document's record.
        vector: (D,) float32 of unit length.
        weights: its sparse vector.
        tokens: how many tokens it has.
        revision: stamp of the push that writes it.
    """
    from qdrant_client import models

    chunk = stored.chunk
    vectors: dict[str, Any] = {DENSE: vector.tolist()}
    if weights:
        vectors[WORDS] = models.SparseVector(indices=list(weights), values=list(weights.values()))
    payload = {
        **_record_payload(stored.document),
        "text": chunk.text,
        "context": chunk.context,
        "start": chunk.start,
        "end": chunk.end,
        "page": chunk.page,
        "bytes": len(chunk.context.encode()) + len(chunk.text.encode()),
        "tokens": tokens,
        "revision": revision,
    }
    return models.PointStruct(id=chunk.id, vector=vectors, payload=payload)


def stored_chunk(point_id: str, payload: Mapping[str, Any]) -> StoredChunk:
    """Return the chunk of a point."""
    chunk = Chunk(
        id=point_id,
        document_id=payload["document"],
        text=payload["text"],
        start=payload["start"],
        end=payload["end"],
        page=payload["page"],
        context=payload["context"],
    )
    return StoredChunk(chunk, record_of(payload))


def record_of(payload: Mapping[str, Any]) -> DocumentRecord:
    """Return the record of the document in a payload."""
    return DocumentRecord(
        id=payload["document"],
        source=payload["source"],
        title=payload["title"],
        media_type=payload["media_type"],
        modified_at=float(payload["modified_at"]),
        size_bytes=payload["size_bytes"],
        chunks=payload["chunks"],
        metadata=json.loads(payload["metadata"]),
    )


def document_points(
    record: DocumentRecord, document: Document, *, revision: str
) -> list[models.PointStruct]:
    """Return the points of a document: its record, and its text in as many parts as it takes."""
    from qdrant_client import models

    sections = [[one.start, one.end, one.page, one.headings] for one in document.sections]
    content = zlib.compress(json.dumps([document.text, sections]).encode("ascii"))
    coded = base64.b64encode(content).decode("ascii")
    parts = [coded[begin : begin + _PART_BYTES] for begin in range(0, len(coded), _PART_BYTES)]
    shared = {"document": record.id, "revision": revision}
    first = {**_record_payload(record), **shared, "kind": "document"}
    return [
        models.PointStruct(
            id=record.id, vector={}, payload={**first, "parts": len(parts), "content": parts[0]}
        ),
        *(
            models.PointStruct(
                id=part_id(record.id, number),
                vector={},
                payload={**shared, "kind": "part", "content": part},
            )
            for number, part in enumerate(parts[1:], start=1)
        ),
    ]


def part_id(document_id: str, number: int) -> str:
    """Return the point of a further part of a document's text; the first is the document's own."""
    return str(uuid.uuid5(_PARTS, f"{document_id}\n{number}"))


def document_of(record: DocumentRecord, parts: Sequence[str]) -> Document:
    """Return a document with its text, of all its parts in order."""
    content = zlib.decompress(base64.b64decode("".join(parts)))
    text, sections = json.loads(content)
    return Document(
        id=record.id,
        source=record.source,
        text=text,
        title=record.title,
        media_type=record.media_type,
        sections=tuple(
            Section(start, end, headings=tuple(headings), page=page)
            for start, end, page, headings in sections
        ),
        metadata=record.metadata,
    )


def _record_payload(record: DocumentRecord) -> dict[str, Any]:
    return {
        "document": record.id,
        "source": record.source,
        "title": record.title,
        "media_type": record.media_type,
        "modified_at": record.modified_at,
        "size_bytes": record.size_bytes,
        "chunks": record.chunks,
        # As text: it may hold what is no valid Unicode, which no server takes.
        "metadata": json.dumps(dict(record.metadata)),
    }
