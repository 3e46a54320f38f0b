"""The Qdrant store of a collection: content here, index there.

What is written goes into the collection's own database first, in one transaction, and to Qdrant as
soon as that is committed. What a kill or a network leaves out is made up for by the next flush, or
by the next search of a process that may write. Searches are answered by Qdrant; lists and whole
documents by the content, which is the same and at hand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from indexer.documents import Chunk, Document
from indexer.errors import IndexerError
from indexer.storage.archive import VectorArchive, check_vectors
from indexer.storage.database import Database
from indexer.stores import reading, writing
from indexer.stores.base import IndexFault, Scored, StoredChunk
from indexer.stores.content import ContentStore
from indexer.stores.qdrant.bm25 import Weighed
from indexer.stores.qdrant.comparison import compare
from indexer.stores.qdrant.connection import Connection
from indexer.stores.qdrant.layout import (
    aliases_of,
    drop,
    enable_graph,
    find_metadata,
    is_optimized,
    switch_alias,
)
from indexer.stores.qdrant.pushing import Progress, Pusher
from indexer.stores.qdrant.reader import QdrantReader
from indexer.stores.qdrant.statistics import weighed_by_content

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.collections.config import CollectionConfig
    from indexer.searching.filters import Where
    from indexer.stores.qdrant.settings import QdrantSettings

__all__ = ["QdrantStore"]

_SEARCH_WAIT_S = 5.0
"""A search that finds Qdrant behind brings it up to date for this long, then answers."""

_FLUSH_WAIT_S = 120.0
_RETRY_AFTER_S = 30.0
"""A server that did not answer is left alone for this long, unless it is asked to flush."""

_GRAPH_POLL_S = 1.0

logger = logging.getLogger(__name__)


class QdrantStore(ContentStore):
    """A ``VectorStore`` over a collection's content. Safe to share between threads.

    Closing it leaves database and archive open: they are the collection's. Several processes may
    have one open on a server; in a local folder only one.

    Args:
        database: the content's database.
        archive: the content's vectors.
        settings: where Qdrant is, and how a collection is laid out there.
        name: the Qdrant collection, which is made when there is something to put into it.
        config: what the collection was made with; travels there, for readers.
        title: the collection's name, for readers and messages.
    """

    def __init__(
        self,
        database: Database,
        archive: VectorArchive,
        settings: QdrantSettings,
        name: str,
        *,
        config: CollectionConfig | None = None,
        title: str = "",
    ) -> None:
        super().__init__(database, archive)
        self.name = name
        self._connection = Connection(settings)
        self._pusher = Pusher(
            self._connection, name, database, archive, config=config, title=title or name
        )
        self._reader = QdrantReader(
            settings, name, connection=self._connection, weigh=self._weighed
        )
        self._pushing = threading.Lock()
        self._has_written = False
        self._rest_until = 0.0
        self._is_there = False
        self._stop_listening: Callable[[], None] | None = database.after_commit(self._committed)

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

        A search that runs while Qdrant takes the document in may see old and new passages of it
        side by side; never neither, and never a part of another document's.

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
            self._has_written = True

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
            StorageError: Qdrant refused, or does not answer.
        """
        check_vectors(vectors, dim=self.dim)
        if not self._catch_up():
            return [[] for _ in vectors]
        return self._reader.search(vectors, top_k=top_k, where=where)

    def search_text(self, text: str, *, top_k: int, where: Where | None = None) -> list[Scored]:
        """Return the ``top_k`` chunks of highest BM25 for a query in plain words, best first."""
        return self._reader.search_text(text, top_k=top_k, where=where) if self._catch_up() else []

    def vector_scores(
        self, vector: NDArray[np.float32], chunk_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the exact cosine of one (D,) query with each of the given chunks."""
        check_vectors(vector[None], dim=self.dim)
        return self._reader.vector_scores(vector, chunk_ids) if self._catch_up() else {}

    def text_scores(self, text: str, chunk_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 of a query with each of the given chunks; 0.0 where no word matches."""
        return self._reader.text_scores(text, chunk_ids) if self._catch_up() else {}

    def lengths(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Return the UTF-8 bytes of the context and text of each of the given chunks."""
        return self._reader.lengths(chunk_ids) if self._catch_up() else {}

    def get(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """Return the chunks with their documents' records; unknown ids are left out."""
        return self._reader.get(chunk_ids) if self._catch_up() else {}

    def check_index(self, *, sample: int = 64) -> list[IndexFault]:
        """See ``VectorStore.check_index``; Qdrant keeps no checksums, so points are sampled."""
        return compare(
            self._connection,
            self._reader,
            self._database,
            self._archive,
            place=f"{self._connection.settings.place} {self.name}",
            sample=sample,
        )

    def rebuild_index(self) -> None:
        """See ``VectorStore.rebuild_index``; searches find less while it is going on."""
        with self._pushing:
            aliases = aliases_of(self._connection, self.name)
            self._is_there = False
            drop(self._connection, self.name)
            self._pusher.forget()
        if self.build() and self._look():
            for alias in aliases:
                switch_alias(self._connection, alias, self.name)

    def flush(self) -> None:
        """Push what Qdrant does not have yet, and count what it has.

        Raises:
            StorageError: Qdrant refused or does not answer; the collection itself is complete.
        """
        if not self._database.read_only and not self._database.is_writing:
            self.build()

    def build(
        self,
        *,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Do what ``flush`` does, with progress: to load a whole content into a new collection.

        A new collection gets its graph when all of the content is there. Goes on where a killed
        build has left off.

        Args:
            progress: told how far it is, after every some thousand chunks.
            should_stop: asked as often.

        Returns:
            Whether all of it is there and indexed; False when it was stopped, or another process
            is pushing.

        Raises:
            StorageError: Qdrant refused or does not answer, or has not what it confirmed.
        """
        with self._pushing:
            had_written, self._has_written = self._has_written, False
            is_done = False
            try:
                is_done = self._pusher.push(
                    wait_s=_FLUSH_WAIT_S,
                    defer_graph=True,
                    progress=progress,
                    should_stop=should_stop,
                )
            finally:
                self._has_written |= had_written and not is_done
            if is_done and self._look():
                self._pusher.check_counts()
                if enable_graph(self._connection, self.name):
                    is_done = self._wait_for_graph(should_stop)
            return is_done

    def close(self) -> None:
        """Push what this store has written, and close the connection; may be called twice."""
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        if self._has_written:
            try:
                self.flush()
            except (IndexerError, OSError) as error:
                logger.warning("Qdrant is brought up to date by the next command: %s", error)
        self._connection.close()

    def _wait_for_graph(self, should_stop: Callable[[], bool]) -> bool:
        """Wait until a loaded collection is indexed; until then every search reads all of it."""
        logger.info("waiting until Qdrant has indexed %s", self.name)
        while not should_stop():
            time.sleep(_GRAPH_POLL_S)  # before the first look too: it begins in its own time
            if is_optimized(self._connection, self.name):
                return True
        return False

    def _weighed(self, text: str) -> Weighed:
        with self._database.read(committed=True) as connection:
            return weighed_by_content(connection, text)

    def _committed(self) -> None:
        """Push what this store has just committed; what goes wrong is made up for later."""
        if not self._has_written or time.monotonic() < self._rest_until:
            return
        if not self._pushing.acquire(blocking=False):
            return  # a push is going on, in this thread or another
        try:
            self._has_written = not self._pusher.push()
        except (IndexerError, OSError) as error:
            self._rest_until = time.monotonic() + _RETRY_AFTER_S
            logger.warning(
                "stored in the collection, but not in Qdrant yet: %s. It is tried again at the end "
                "and by the next command",
                error,
            )
        finally:
            self._pushing.release()

    def _catch_up(self) -> bool:
        """Bring Qdrant up to date if that takes no long; return whether there is a collection."""
        if not self._database.is_writing and not self._pusher.is_current():
            self._push_before_search()
        return self._look()

    def _push_before_search(self) -> None:
        if self._database.read_only or not self._pushing.acquire(blocking=False):
            return
        try:
            if not self._pusher.push(limit_s=_SEARCH_WAIT_S):
                logger.info("%s does not contain all of the collection yet", self.name)
        finally:
            self._pushing.release()

    def _look(self) -> bool:
        if not self._is_there:
            self._is_there = find_metadata(self._connection, self.name) is not None
        return self._is_there
