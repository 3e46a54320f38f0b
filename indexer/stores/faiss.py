"""The embedded store: FAISS for vectors, SQLite for payloads and words, in one directory.

Puts the parts together and checks what goes in and out; see ``dense``, ``lexical``, ``reading`` and
``writing`` for each. Importing it imports neither FAISS nor numpy, so lexical search stays light.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from indexer.archive import VectorArchive, check_vectors
from indexer.database import Database
from indexer.documents import Chunk, Document
from indexer.errors import CollectionBusyError, StorageError
from indexer.stores import lexical, reading, writing
from indexer.stores.base import DocumentRecord, IndexFault, Scored, StoredChunk
from indexer.stores.dense import DenseIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.filters import Where

__all__ = ["FaissStore"]

logger = logging.getLogger(__name__)


class FaissStore:
    """A ``VectorStore`` in a collection's directory. Safe to share between threads and processes.

    Closing it leaves database and archive open: they are the collection's.

    Args:
        directory: the collection's directory.
        database: the collection's database.
        archive: the collection's vectors.
    """

    def __init__(self, directory: Path, database: Database, archive: VectorArchive) -> None:
        self._database = database
        self._archive = archive
        self._dense = DenseIndex(directory, database, archive)
        self._has_written = False

    @property
    def dim(self) -> int:
        """Width D of the vectors; 0 while there are none and none was told."""
        return self._archive.dim

    @property
    def metric(self) -> Literal["cosine"]:
        """The measure of closeness."""
        return "cosine"

    def __len__(self) -> int:
        with self._database.read() as connection:
            return reading.chunk_count(connection)

    def upsert(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        rows: Sequence[int],
        *,
        modified_at: float,
        size_bytes: int,
    ) -> None:
        """See ``VectorStore.upsert``.

        Raises:
            StorageError: nothing was written.
            ValueError: document, chunks and rows do not belong together.
        """
        with self._database.write() as connection:
            recorded = len(self._archive)
            if rows and not 0 <= min(rows) <= max(rows) < recorded:
                raise ValueError(
                    f"{document.source}: rows {min(rows)} to {max(rows)}, {recorded} are recorded"
                )
            writing.replace_document(
                connection, document, chunks, rows, modified_at=modified_at, size_bytes=size_bytes
            )
        self._has_written = True

    def touch(self, document_id: str, *, modified_at: float) -> None:
        """See ``VectorStore.touch``."""
        with self._database.write() as connection:
            writing.set_modified_at(connection, document_id, modified_at)

    def delete(self, document_ids: Sequence[str]) -> int:
        """Remove documents with all their chunks; return how many there were."""
        if not document_ids:
            return 0
        with self._database.write() as connection:
            deleted = writing.delete_documents(connection, document_ids)
        self._has_written = self._has_written or deleted > 0
        return deleted

    def search(
        self, vectors: NDArray[np.float32], *, top_k: int, where: Where | None = None
    ) -> list[list[Scored]]:
        """Return for each of the (Q, D) queries its ``top_k`` closest chunks, closest first.

        Equal scores are in the order of their ids.

        Raises:
            ValueError: the queries are not (Q, D) float32 of unit length.
        """
        check_vectors(vectors, dim=self.dim)
        if top_k < 1:
            return [[] for _ in vectors]
        with self._dense.snapshot() as connection:
            documents = reading.document_keys(connection, where)
            rows = None if documents is None else reading.rows_of_documents(connection, documents)
            contenders = self._dense.contenders(vectors, top_k=top_k, rows=rows)
            return [
                self._closest(connection, query, candidates, documents)[:top_k]
                for query, candidates in zip(vectors, contenders, strict=True)
            ]

    def search_text(self, text: str, *, top_k: int, where: Where | None = None) -> list[Scored]:
        """Return the ``top_k`` chunks of highest BM25 for a query in plain words, best first."""
        with self._database.read() as connection:
            documents = reading.document_keys(connection, where)
            return lexical.search_words(connection, text, top_k=top_k, documents=documents)

    def vector_scores(
        self, vector: NDArray[np.float32], chunk_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the exact cosine of one (D,) query with each of the given chunks."""
        check_vectors(vector[None], dim=self.dim)
        with self._database.read() as connection:
            rows = reading.chunk_rows(connection, chunk_ids)
        scores = self._cosines(vector, list(rows.values()))
        return dict(zip(rows, scores, strict=True))

    def text_scores(self, text: str, chunk_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 of a query with each of the given chunks; 0.0 where no word matches."""
        with self._database.read() as connection:
            return lexical.score_words(connection, text, chunk_ids)

    def lengths(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Return the UTF-8 bytes of the context and text of each of the given chunks."""
        with self._database.read() as connection:
            return reading.chunk_lengths(connection, chunk_ids)

    def get(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """Return the chunks with their documents' records; unknown ids are left out."""
        with self._database.read() as connection:
            return reading.load_chunks(connection, chunk_ids)

    def documents(
        self, *, where: Where | None = None, offset: int = 0, limit: int | None = None
    ) -> list[DocumentRecord]:
        """Return records ordered by source."""
        with self._database.read() as connection:
            return reading.load_records(connection, where, offset=offset, limit=limit)

    def document(self, document_id: str) -> Document | None:
        """Return a document with its text, or None when there is no such id."""
        with self._database.read() as connection:
            return reading.load_document(connection, document_id)

    def chunks(self, document_id: str) -> list[Chunk]:
        """Return a document's chunks in the order of the text; none for an unknown id."""
        with self._database.read() as connection:
            return reading.load_chunks_of_document(connection, document_id)

    def scroll(
        self, *, batch_size: int = 1024
    ) -> Iterator[tuple[list[StoredChunk], NDArray[np.float32]]]:
        """Yield every chunk of one state of the collection with its (N, D) vectors, in batches."""
        with self._database.read(committed=True) as connection:
            for chunks, rows in reading.scroll_chunks(connection, batch_size=batch_size):
                yield chunks, self._archive.read(rows)

    def check_index(self, *, sample: int = 64) -> list[IndexFault]:
        """See ``VectorStore.check_index``; checksums prove every vector, so none is sampled."""
        fault = self._dense.file_fault()
        if fault is not None:
            return [fault] if fault.is_damage or len(self) else []  # none was made of nothing yet
        with self._dense.snapshot() as connection:
            (used,) = connection.execute("SELECT count(DISTINCT row) FROM chunks").fetchone()
            found = len(self._dense)
        if found == used:
            return []
        what = f"it holds {found:,} vectors, the passages use {used:,}"
        return [IndexFault(str(self._dense.path), what)]

    def rebuild_index(self) -> None:
        """See ``VectorStore.rebuild_index``."""
        self._dense.set_aside()
        self.flush()

    def flush(self) -> None:
        """Write the index file if it is out of date; committed content needs no flush.

        Raises:
            StorageError: the disk is full or cannot be written; the collection itself is complete.
        """
        if not self._database.read_only:
            self._dense.save()
            self._has_written = False

    def close(self) -> None:
        """Write the index file if this store changed something, and free the index's memory."""
        if self._has_written or self._dense.was_rebuilt:
            try:
                self.flush()
            except (CollectionBusyError, StorageError) as error:
                logger.warning("the index is built anew when needed: %s", error)
        self._dense.release()

    def _closest(
        self,
        connection: sqlite3.Connection,
        query: NDArray[np.float32],
        rows: Sequence[int],
        documents: Sequence[int] | None,
    ) -> list[Scored]:
        """Score rows exactly and return their chunks, best first, equal ones by their ids."""
        scores = dict(zip(rows, self._cosines(query, rows), strict=True))
        allowed = None if documents is None else set(documents)
        scored = [
            Scored(chunk_id, scores[row])
            for row, chunk_id, document in reading.chunks_of_rows(connection, rows)
            if allowed is None or document in allowed
        ]
        return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))

    def _cosines(self, query: NDArray[np.float32], rows: Sequence[int]) -> list[float]:
        """Return exact scores, the same for equal vectors wherever they stand."""
        if not rows:
            return []
        vectors = self._archive.read(rows).astype("float64")
        scores: list[float] = (vectors * query).sum(axis=1).tolist()
        return scores
