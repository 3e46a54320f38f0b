"""Checksums of documents as the database holds them: they tell when a stored byte was altered.

They are over values, not over pages, so that they hold in whatever file the document is copied to;
archive rows are left out, as they differ from content to content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from indexer.stores.reading import json_text

__all__ = ["ChunkValues", "content_digest", "record_digest"]

ChunkValues = tuple[str, int, int, int | None, str, str, str]
"""Id, start, end, page, context, text and pieces of a chunk."""


def content_digest(text: str, sections: str, chunks: Iterable[ChunkValues]) -> bytes:
    """Return the SHA-256 of a document's text and passages.

    Args:
        text: the document's text.
        sections: its sections, as JSON.
        chunks: its chunks in the order in which they were stored.
    """
    digest = hashlib.sha256(_bytes([text, sections]))
    for chunk in chunks:
        digest.update(_bytes(chunk))
    return digest.digest()


def record_digest(content: bytes, *record: str | float) -> bytes:
    """Return the SHA-256 of what is told of a document besides its content.

    Args:
        content: its ``content_digest``.
        record: the other columns of ``documents`` as SQLite returns them: id, source, title,
            media_type, modified_at, size_bytes, metadata.
    """
    return hashlib.sha256(_bytes([content.hex(), *record])).digest()


def _bytes(values: object) -> bytes:
    return json_text(values).encode("ascii")
