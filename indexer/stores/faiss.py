"""The embedded store: FAISS for vectors, SQLite for payloads and words, in one directory.

Puts the parts together and checks what goes in and out; see ``dense``, ``lexical``, ``reading`` and
``writing`` for each. Importing it imports neither FAISS nor numpy, so lexical search stays light.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from indexer.documents import Chunk, Document
from indexer.errors import CollectionBusyError, StorageError
from indexer.storage.archive import VectorArchive, check_vectors
from indexer.storage.database import Database
from indexer.stores import lexical, reading, writing
from indexer.stores.base import IndexFault, Scored, StoredChunk
from indexer.stores.content import ContentStore
from indexer.stores.index_types import DEFAULT_INDEX_TYPE, IndexType, index_type_named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.searching.filters import Where
    from indexer.stores.dense import DenseIndex
    from indexer.stores.index_building import Progress
    from indexer.stores.row_set import RowSet

__all__ = ["FaissStore"]

logger = logging.getLogger(__name__)


class FaissStore(ContentStore):
    """A ``VectorStore`` in a collection's directory. Safe to share between threads and processes.

    Closing it leaves database and archive open: they are the collection's.

    Args:
        index_directory: where the index file is or is to be; another folder than the database's
            where several indexes are made over one content.
        database: the content's database.
        archive: the content's vectors.
        index_type: a name in ``INDEX_TYPES``, or a type of one's own.

    Raises:
        UsageError: there is no index type of that name.
    """

    def __init__(
        self,
        index_directory: Path,
        database: Database,
        archive: VectorArchive,
        index_type: str | IndexType = DEFAULT_INDEX_TYPE,
    ) -> None:
        super().__init__(database, archive)
        self._kind = index_type_named(index_type) if isinstance(index_type, str) else index_type
        self._index_directory = index_directory
        self._opened: DenseIndex | None = None
        self._opening = threading.Lock()
        self._has_written = False

    @property
    def index_type(self) -> str:
        """The name of the index's type."""
        return self._kind.name

    @property
    def dense(self) -> DenseIndex:
        """The index; opened when first asked for, so that lexical search loads no numpy."""
        with self._opening:
            if self._opened is None:
                from indexer.stores.dense import DenseIndex

                self._opened = DenseIndex(
                    self._index_directory, self._database, self._archive, self._kind
                )
            return self._opened

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
        with self.dense.snapshot() as connection:
            documents = reading.document_keys(connection, where)
            rows = None if documents is None else _rows_of(connection, documents)
            contenders = self.dense.contenders(vectors, top_k=top_k, rows=rows)
            allowed = None if documents is None else frozenset(documents)
            return [
                self._closest(connection, query, candidates, top_k=top_k, documents=allowed)
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
        return dict(zip(rows, scores.tolist(), strict=True))

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

    def check_index(self, *, sample: int = 64) -> list[IndexFault]:
        """See ``VectorStore.check_index``; checksums prove every vector, so none is sampled."""
        faults = self.dense.faults()
        is_damage = any(fault.is_damage for fault in faults)
        return faults if is_damage or len(self) else []  # none was made of nothing yet

    def rebuild_index(self) -> None:
        """See ``VectorStore.rebuild_index``."""
        self.dense.set_aside()
        self.flush()

    def build(
        self,
        *,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Build the index anew from the archive and write it; searches go on meanwhile.

        Memory holds the new index and little else. No model is called.

        Args:
            progress: told how many of how many vectors are in it.
            should_stop: asked every few thousand vectors; when it says so, nothing is changed.

        Returns:
            Whether it was built; not after a stop, or while another process is writing the file.

        Raises:
            StorageError: the disk is full or cannot be written, or the archive is damaged; the
                previous file is still good.
        """
        return self._save(progress, should_stop, is_anew=True)

    def flush(
        self,
        *,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Write the index file if it is out of date; committed content needs no flush.

        A few changes to a large index are left for later: every search takes them in by itself.

        Args:
            progress: told how many of how many vectors are in it.
            should_stop: asked every few thousand vectors; when it says so, nothing is changed.

        Raises:
            StorageError: the disk is full or cannot be written; the collection itself is complete.
        """
        if not self._database.read_only:
            self._save(progress, should_stop, is_anew=False)

    def close(self) -> None:
        """Write the index file if this store changed something, and free the index's memory.

        One that takes minutes to write is left to ``flush`` and ``build``.
        """
        is_outdated = self._has_written or (self._opened is not None and self._opened.was_rebuilt)
        if is_outdated and self.dense.is_quickly_saved:
            try:
                self.flush()
            except (CollectionBusyError, StorageError) as error:
                logger.warning("the index is built anew when needed: %s", error)
        if self._opened is not None:
            self._opened.release()

    def _save(
        self, progress: Progress | None, should_stop: Callable[[], bool], *, is_anew: bool
    ) -> bool:
        from indexer.stores.index_building import Steps

        steps = Steps(progress or _no_progress, should_stop)
        is_saved = self.dense.save(steps, is_anew=is_anew)
        self._has_written = self._has_written and not is_saved
        return is_saved

    def _closest(
        self,
        connection: sqlite3.Connection,
        query: NDArray[np.float32],
        rows: NDArray[np.int64],
        *,
        top_k: int,
        documents: frozenset[int] | None,
    ) -> list[Scored]:
        """Score rows exactly; return the best of their chunks, best first, equal ones by ids."""
        import numpy as np

        scores = self._cosines(query, rows)
        if len(rows) > top_k:  # each row has a chunk at least, so that many rows are enough
            best = scores >= np.partition(scores, -top_k)[-top_k]
            rows, scores = rows[best], scores[best]
        score_of = dict(zip(rows.tolist(), scores.tolist(), strict=True))
        scored = [
            Scored(chunk_id, score_of[row])
            for row, chunk_id, document in reading.chunks_of_rows(connection, list(score_of))
            if documents is None or document in documents
        ]
        return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))[:top_k]

    def _cosines(
        self, query: NDArray[np.float32], rows: Sequence[int] | NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return exact scores, the same for equal vectors wherever they stand."""
        import numpy as np

        if not len(rows):  # an archive that is empty has no width either
            return np.zeros(0)
        vectors = self._archive.read(rows).astype(np.float64)
        scores: NDArray[np.float64] = (vectors * query).sum(axis=1)
        return scores


def _no_progress(_done: int, _total: int) -> None:
    pass


def _rows_of(connection: sqlite3.Connection, documents: Sequence[int]) -> RowSet:
    from indexer.stores.changes import rows_of_documents

    return rows_of_documents(connection, documents)
