"""The stored passages of a collection as the makers of training pairs see them.

Reads the store; knows no models.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from indexer.documents import embedding_text
from indexer.stores.base import StoredChunk

if TYPE_CHECKING:
    from indexer.stores.base import VectorStore

__all__ = ["Passage", "read_passages"]

_SEPARATOR = " \u203a "  # between the parts of ``Chunk.context``
_OMISSION = "\u2026"  # marks a part that was shortened


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk with what is known of its place.

    Args:
        chunk_id: its id in the store.
        document_id: the document that it is part of.
        title: the document's own title; empty where that is only the file's name.
        heading: the innermost heading that it stands under; empty without one.
        text: the passage itself.
        full_text: context and text: what the model reads when the chunk is indexed.
    """

    chunk_id: str
    document_id: str
    title: str
    heading: str
    text: str
    full_text: str

    @classmethod
    def of(cls, stored: StoredChunk) -> Passage:
        """Return a stored chunk as a passage."""
        chunk, record = stored.chunk, stored.document
        return cls(
            chunk_id=chunk.id,
            document_id=record.id,
            title="" if _is_file_name(record.title, record.source) else record.title,
            heading=_heading(chunk.context),
            text=chunk.text,
            full_text=embedding_text(chunk),
        )


def read_passages(store: VectorStore, *, limit: int, seed: int) -> list[Passage]:
    """Return the passages of a collection, those of a document together and in their order.

    Args:
        store: of the collection.
        limit: how many at most, at least 1; of a larger collection whole documents are drawn, and
            the last one drawn may be cut.
        seed: decides which.
    """
    records = store.documents()
    random.Random(seed).shuffle(records)
    passages: list[Passage] = []
    for record in records:
        if len(passages) >= limit:
            break
        chunks = store.chunks(record.id)
        passages += [Passage.of(StoredChunk(chunk, record)) for chunk in chunks]
    return passages[:limit]


def _heading(context: str) -> str:
    """Return the last part of a context after the title, unless it was shortened."""
    _, *headings = context.split(_SEPARATOR)
    return headings[-1] if headings and not headings[-1].endswith(_OMISSION) else ""


def _is_file_name(title: str, source: str) -> bool:
    path = PurePath(source)
    return title in (path.name, path.stem)
