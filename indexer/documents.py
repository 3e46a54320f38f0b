"""Documents and chunks: the values that every part of the indexer passes around.

Knows no files, stores or models. Everything is frozen; ids are deterministic, so indexing the same
content at the same place twice gives the same ids.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Chunk",
    "Document",
    "Section",
    "chunk_id",
    "document_id",
    "embedding_text",
    "text_hash",
]

_NAMESPACE = uuid.UUID("6f0c7a52-3f5e-5d0b-9a37-6f1f0e7b4c11")


def document_id(source: str) -> str:
    """Return the UUID of the document at ``source``; equal sources give equal ids."""
    return str(uuid.uuid5(_NAMESPACE, source))


def chunk_id(document: str, start: int, end: int, text: str) -> str:
    """Return the UUID of ``text`` at characters ``[start, end)`` of the document with that id."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return str(uuid.uuid5(_NAMESPACE, f"{document}\n{start}\n{end}\n{digest}"))


def text_hash(text: str) -> bytes:
    """Return the 32-byte SHA-256 of a text: the key under which its embedding is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Section:
    """A run of a document's text that stands under one heading path on one page.

    Args:
        start: first character in ``Document.text``.
        end: one past the last character.
        headings: heading path, outermost first, without the document's title.
        page: 1-based PDF page or slide; None where the format has no pages.
    """

    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one file, with the structure that chunking and display need.

    Args:
        id: ``document_id(source)``.
        source: where it came from: an absolute path, or an address given by the caller.
        text: plain text without NUL characters or lone surrogates.
        title: the document's own title, or its file name.
        media_type: one of ``indexer.loaders.MEDIA_TYPES``, such as ``"pdf"`` or ``"markdown"``.
        sections: ordered, non-overlapping; text outside of them is white space.
        metadata: further strings such as author or date, as the file states them.
    """

    id: str
    source: str
    text: str
    title: str
    media_type: str
    sections: tuple[Section, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One searchable passage: ``text == document.text[start:end]``.

    Args:
        id: ``chunk_id(document_id, start, end, text)``.
        document_id: the document that it is part of.
        text: the passage.
        start: first character in the document's text.
        end: one past the last character.
        page: 1-based page on which it starts; None where the format has no pages.
        context: the document's title and the heading path, joined by " \u203a ", shortened to the
            chunking's context budget; embedded and searched together with the text.
    """

    id: str
    document_id: str
    text: str
    start: int
    end: int
    page: int | None
    context: str


def embedding_text(chunk: Chunk) -> str:
    """Return what the model reads for a chunk: its context on a line of its own, then its text."""
    return f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text
