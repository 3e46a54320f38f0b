"""Cuts the content of documents into requests of points, none of them too large.

Reads the content, computes the sparse vectors, and knows no connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from indexer.searching.stemming import count_terms
from indexer.storage.archive import VectorArchive
from indexer.stores.base import StoredChunk
from indexer.stores.qdrant.bm25 import chunk_weights
from indexer.stores.qdrant.points import chunk_point, document_points
from indexer.stores.reading import load_document, load_records_of, scroll_chunks_of

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["MAX_REQUEST_BYTES", "chunk_batches", "document_batches"]

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Half of what a server accepts: a request above 32 MiB is cut off, which looks like a time-out."""

_FLOAT_BYTES = 22  # of a float32 as JSON writes it
_ENTRY_BYTES = 34  # of a sparse vector's entry: dimension and weight
_POINT_BYTES = 1024  # what else there is, names of fields included


def chunk_batches(
    connection: sqlite3.Connection,
    archive: VectorArchive,
    document_ids: Sequence[str],
    *,
    typical_tokens: float,
    revision: str,
    batch_size: int,
) -> Iterator[list[models.PointStruct]]:
    """Yield the points of all chunks of these documents, in requests' sizes.

    Args:
        connection: inside a transaction.
        archive: the content's vectors.
        document_ids: which documents.
        typical_tokens: length for which the sparse vectors are made.
        revision: stamp of the push.
        batch_size: points per request, at most.
    """
    for batch in scroll_chunks_of(connection, document_ids, batch_size=batch_size):
        yield from _bounded(_points(archive, batch, typical_tokens, revision))


def document_batches(
    connection: sqlite3.Connection, document_ids: Sequence[str], *, revision: str
) -> Iterator[list[models.PointStruct]]:
    """Yield the points of these documents, in requests' sizes; those that are gone have none."""

    def points() -> Iterator[tuple[models.PointStruct, int]]:
        for record in load_records_of(connection, document_ids):
            document = load_document(connection, record.id)
            assert document is not None
            for point in document_points(record, document, revision=revision):
                size = len((point.payload or {})["content"]) + _text_bytes(str(record.metadata))
                yield point, size + _POINT_BYTES

    return _bounded(points())


def _points(
    archive: VectorArchive,
    batch: Sequence[tuple[StoredChunk, int, str]],
    typical_tokens: float,
    revision: str,
) -> Iterator[tuple[models.PointStruct, int]]:
    vectors = archive.read([row for _, row, _ in batch])
    counts = count_terms(
        [(stored.chunk.context, stored.chunk.text, pieces) for stored, _, pieces in batch]
    )
    for (stored, _, _), vector, counted in zip(batch, vectors, counts, strict=True):
        weights, tokens = chunk_weights(counted, typical_tokens=typical_tokens)
        size = _POINT_BYTES + _FLOAT_BYTES * len(vector) + _ENTRY_BYTES * len(weights)
        size += _text_bytes(stored.chunk.text) + _text_bytes(stored.chunk.context)
        size += _text_bytes(str(stored.document.metadata))
        yield chunk_point(stored, vector, weights, tokens=tokens, revision=revision), size


def _text_bytes(text: str) -> int:
    return 2 * len(text.encode("utf-8", "replace"))  # what JSON escapes


def _bounded(
    points: Iterable[tuple[models.PointStruct, int]],
) -> Iterator[list[models.PointStruct]]:
    taken: list[models.PointStruct] = []
    total = 0
    for point, size in points:
        if taken and total + size > MAX_REQUEST_BYTES:
            yield taken
            taken, total = [], 0
        taken.append(point)
        total += size
    if taken:
        yield taken
