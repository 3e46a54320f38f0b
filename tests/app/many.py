"""A collection of thousands of documents, put there without reading or embedding anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from indexer.collections.library import Library
from indexer.documents import (
    Chunk,
    Document,
    Section,
    chunk_id,
    document_id,
    embedding_text,
    text_hash,
)
from indexer.indexing.discovery import FileEntry


def make_large_collection(home: Path, count: int, *, waiting: int = 0) -> None:
    """Make the collection ``default``.

    Args:
        home: directory of the collections.
        count: documents that can be searched.
        waiting: files that the ledger knows and nobody has read yet.
    """
    vectors = np.random.default_rng(0).normal(size=(count, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    documents = [_document(number) for number in range(count)]
    with (
        Library(home).create("default", model="gircse-minilm", steps=0) as collection,
        collection.using() as generation,
        generation.database.write(),
    ):
        keys = [text_hash(embedding_text(chunk)) for _, chunk in documents]
        rows = generation.archive.append(keys, vectors)
        entries = [FileEntry(Path(document.source), 1, 1) for document, _ in documents]
        generation.ledger.queue(entries)
        for number, (document, chunk) in enumerate(documents):
            generation.store.upsert(
                document, [chunk], [rows[number]], modified_at=number, size_bytes=1
            )
            generation.ledger.finish(entries[number].key, size=1, mtime_ns=1, sha256="aa", chunks=1)
        generation.ledger.queue(
            [FileEntry(Path(f"/files/waiting-{n:05d}.txt"), 1, 1) for n in range(waiting)]
        )


def _document(number: int) -> tuple[Document, Chunk]:
    source, text = f"/files/{number % 50}/note-{number:05d}.txt", f"Note {number}."
    identity, end = document_id(source), len(text)
    chunk = Chunk(chunk_id(identity, 0, end, text), identity, text, 0, end, None, "")
    return Document(identity, source, text, source, "text/plain", (Section(0, end),)), chunk
