"""Documents, vectors and opened stores for the tests of everything that stores and searches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.documents import (
    Chunk,
    Document,
    Section,
    chunk_id,
    document_id,
    embedding_text,
    text_hash,
)
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.stores.base import VectorStore
from indexer.stores.faiss import FaissStore
from indexer.stores.index_types import INDEX_TYPES
from tests.indexer.stores.qdrant.opening import QDRANT_STORES, open_qdrant

DIM = 24
_FLUSHED_AFTER = (1, 4, 16, 64)  # documents
STORES = ["faiss", "faiss hnsw"]
"""Stores that any number of processes may have open in one folder: "faiss" is the flat index, which
is changed in place, "faiss hnsw" one that cannot let go of anything."""

FAISS_STORES = ["faiss", *(f"faiss {name}" for name in INDEX_TYPES if name != "flat")]
ALL_STORES = [*FAISS_STORES, *QDRANT_STORES]


def vector_of(text: str) -> NDArray[np.float32]:
    """Return a unit vector drawn from the hash of a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def vectors_of(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([vector_of(text) for text in texts], dtype=np.float32).reshape(-1, DIM)


def make_document(
    name: str,
    passages: Sequence[str],
    *,
    title: str = "",
    media_type: str = "text",
    context: str = "",
) -> tuple[Document, list[Chunk]]:
    """Return a document whose text is the passages, one paragraph each, and its chunks."""
    source = f"/home/me/{name}"
    identity = document_id(source)
    text, chunks = "", []
    for number, passage in enumerate(passages):
        text += "\n\n" if text else ""
        start, end = len(text), len(text) + len(passage)
        text += passage
        chunks.append(
            Chunk(
                chunk_id(identity, start, end, passage),
                identity,
                passage,
                start,
                end,
                number + 1,
                context,
            )
        )
    document = Document(
        identity,
        source,
        text,
        title or name,
        media_type,
        (Section(0, len(text), ("Heading", "Nested"), 1),),
        {"author": "Ada", "note": "caf\u00e9 \ud83d"},
    )
    return document, chunks


@dataclass
class Opened:
    """A store with what it stands on."""

    directory: Path
    database: Database
    archive: VectorArchive
    store: VectorStore
    is_flushed: bool = False
    additions: int = 0

    def add(
        self,
        name: str,
        passages: Sequence[str],
        *,
        modified_at: float = 1000.0,
        size_bytes: int = 10,
        **made: str,
    ) -> list[Chunk]:
        """Store a document of these passages, replacing what it had; return its chunks."""
        document, chunks = make_document(name, passages, **made)
        with self.database.write():
            texts = [embedding_text(chunk) for chunk in chunks]
            rows = self.archive.append([text_hash(text) for text in texts], vectors_of(texts))
            self.store.upsert(
                document, chunks, rows, modified_at=modified_at, size_bytes=size_bytes
            )
        self.additions += 1
        if self.is_flushed and self.additions in _FLUSHED_AFTER:
            self.store.flush()
        return chunks

    def delete(self, *names: str) -> int:
        return self.store.delete([document_id(f"/home/me/{name}") for name in names])

    def found(self, text: str, *, top_k: int = 10) -> list[str]:
        """Return the ids of the chunks closest to a text's vector."""
        (hits,) = self.store.search(vectors_of([text]), top_k=top_k)
        return [hit.chunk_id for hit in hits]

    def found_by_words(self, text: str, *, top_k: int = 10) -> list[str]:
        return [hit.chunk_id for hit in self.store.search_text(text, top_k=top_k)]

    def close(self) -> None:
        self.store.close()
        self.archive.close()
        self.database.close()


def open_store(
    kind: str, directory: Path, *, read_only: bool = False, is_flushed: bool = False
) -> Opened:
    """Open a store of a kind in a directory, as often as wanted at once.

    Args:
        kind: one of ``ALL_STORES``; an index is built from the first vector on, also of a type that
            waits for more.
        directory: of everything.
        read_only: never write.
        is_flushed: write the index now and then, so that searches use what is built.
    """
    database = Database(directory / "collection.db", read_only=read_only)
    archive = VectorArchive(directory, database)
    store: VectorStore
    if kind.startswith("faiss"):
        index_type = INDEX_TYPES[kind.partition(" ")[2] or "flat"]
        impatient = replace(index_type, least_rows=min(index_type.least_rows, 1))
        store = FaissStore(directory, database, archive, impatient)
    else:
        store = open_qdrant(kind, directory, database, archive)
    return Opened(directory, database, archive, store, is_flushed)
