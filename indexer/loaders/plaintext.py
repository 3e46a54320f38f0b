"""Reads plain text, as it is."""

from __future__ import annotations

from indexer.documents import Document
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode

__all__ = ["load"]


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a text file; it has no structure but its blank lines.

    Raises:
        ExtractionError: ``binary`` when it is no text.
    """
    builder = DocumentBuilder(source=source, name=name, media_type="text")
    builder.block(decode(data))
    return builder.build()
