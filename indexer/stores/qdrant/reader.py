"""The reading half of the Qdrant store: searches and shows with nothing but the address.

Both legs and all filters run inside Qdrant. What comes back is scored again where that makes it
equal to the embedded store: BM25 by the average length of now, equal vectors with equal scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NoReturn

from indexer.documents import Chunk, Document
from indexer.errors import StorageError
from indexer.searching.filters import Where
from indexer.storage.archive import check_vectors
from indexer.stores.base import DocumentRecord, Scored, StoredChunk
from indexer.stores.qdrant.bm25 import Weighed
from indexer.stores.qdrant.catalogue import Catalogue
from indexer.stores.qdrant.conditions import Nothing
from indexer.stores.qdrant.connection import Connection
from indexer.stores.qdrant.dense_search import DenseSearch
from indexer.stores.qdrant.layout import DENSE, About, read_about, resolve
from indexer.stores.qdrant.phrases import containing
from indexer.stores.qdrant.points import stored_chunk
from indexer.stores.qdrant.probing import Probe
from indexer.stores.qdrant.retrieval import dense_of, retrieve, scroll
from indexer.stores.qdrant.word_search import WordSearch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.collections.config import CollectionConfig
    from indexer.collections.search_defaults import SearchDefaults
    from indexer.stores.qdrant.settings import QdrantSettings

__all__ = ["QdrantReader"]

_SMALL = 10_000


class QdrantReader:
    """A ``VectorStore`` that refuses to write. Safe to share between threads.

    The name may be an alias: what it means is looked up once, so that everything that is asked of
    one reader is answered by the same collection. ``is_current()`` tells when it means another.

    Args:
        settings: where Qdrant is.
        name: collection or alias.
        connection: one that is open already, which stays the caller's to close.
        weigh: knows a query's terms and their frequencies; None asks Qdrant.
    """

    def __init__(
        self,
        settings: QdrantSettings,
        name: str,
        *,
        connection: Connection | None = None,
        weigh: Callable[[str], Weighed] | None = None,
    ) -> None:
        self._asked_name = name
        self._connection = connection or Connection(settings)
        self._is_own = connection is None
        self._weigh = weigh or self._probe_terms

    @cached_property
    def name(self) -> str:
        """The Qdrant collection that is read."""
        return resolve(self._connection, self._asked_name)

    @cached_property
    def about(self) -> About:
        """What the collection says of itself."""
        return read_about(self._connection, self.name)

    @property
    def config(self) -> CollectionConfig:
        """Model, steps and fingerprint of the collection.

        Raises:
            StorageError: it does not say.
        """
        config = self.about.config
        if config is None:
            raise StorageError(
                f"the collection {self.name!r} at {self._connection.settings.place} does not say "
                "which model it was made with; make it anew: gircse reindex COLLECTION "
                "--store qdrant"
            )
        return config

    @property
    def defaults(self) -> SearchDefaults:
        """How the collection is searched where the user says nothing."""
        return self._catalogue.state().defaults

    def is_current(self) -> bool:
        """Return whether the name still means the collection that this reads."""
        return resolve(self._connection, self._asked_name) == self.name

    @property
    def dim(self) -> int:
        """Width D of the vectors."""
        return self.about.dim

    @property
    def metric(self) -> Literal["cosine"]:
        """The measure of closeness."""
        return "cosine"

    def __len__(self) -> int:
        return self._catalogue.state().chunks

    def upsert(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        rows: Sequence[int],
        *,
        modified_at: float,
        size_bytes: int,
    ) -> NoReturn:
        """Refuse: only the machine that has the collection's content writes."""
        self._refuse("stored")

    def touch(self, document_id: str, *, modified_at: float) -> NoReturn:
        """Refuse: only the machine that has the collection's content writes."""
        self._refuse("changed")

    def delete(self, document_ids: Sequence[str]) -> NoReturn:
        """Refuse: only the machine that has the collection's content writes."""
        self._refuse("deleted")

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
        limit = self._catalogue.filter_of(where)
        if top_k < 1 or isinstance(limit, Nothing):
            return [[] for _ in vectors]
        if top_k > _SMALL:
            top_k = min(top_k, max(len(self), 1))
        return self._dense.search(vectors, top_k=top_k, limit=limit)

    def search_text(self, text: str, *, top_k: int, where: Where | None = None) -> list[Scored]:
        """Return the ``top_k`` chunks of highest BM25 for a query in plain words, best first."""
        limit = self._catalogue.filter_of(where)
        weighed = self._weigh(text)
        top_k = min(top_k, weighed.chunks)
        if top_k < 1 or isinstance(limit, Nothing) or not weighed.frequencies:
            return []
        return self._words.search(weighed, top_k=top_k, limit=limit)

    def vector_scores(
        self, vector: NDArray[np.float32], chunk_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the exact cosine of one (D,) query with each of the given chunks."""
        check_vectors(vector[None], dim=self.dim)
        return self._dense.scores(vector, chunk_ids)

    def text_scores(self, text: str, chunk_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 of a query with each of the given chunks; 0.0 where no word matches."""
        return self._words.scores(self._weigh(text), chunk_ids)

    def containing(
        self, phrase: str, *, among: Sequence[str] | None = None, where: Where | None = None
    ) -> set[str]:
        """Return the ids of the chunks that contain a phrase: its words, one after the other.

        Qdrant does not know the order of words: it finds the chunks with any word of the phrase,
        and their texts are compared here, as the embedded store compares them.
        """
        if among is None:
            found = self.search_text(phrase, top_k=max(len(self), 1), where=where)
            among = [hit.chunk_id for hit in found]
        return containing(self._connection, self.name, phrase, among)

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the stored (D,) vector of each of the given chunks; unknown ids are left out."""
        import numpy as np

        found = retrieve(self._connection, self.name, chunk_ids, vectors=[DENSE])
        return {str(point.id): np.array(dense_of(point), dtype=np.float32) for point in found}

    def lengths(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Return the UTF-8 bytes of the context and text of each of the given chunks."""
        found = retrieve(self._connection, self.name, chunk_ids, payload=["bytes"])
        return {str(point.id): int((point.payload or {})["bytes"]) for point in found}

    def get(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """Return the chunks with their documents' records; unknown ids are left out."""
        found = retrieve(self._connection, self.name, chunk_ids, payload=True)
        return {str(point.id): stored_chunk(str(point.id), point.payload or {}) for point in found}

    def documents(
        self, *, where: Where | None = None, offset: int = 0, limit: int | None = None
    ) -> list[DocumentRecord]:
        """Return records ordered by source."""
        return self._catalogue.records(where, offset=offset, limit=limit)

    def document(self, document_id: str) -> Document | None:
        """Return a document with its text, or None when there is no such id."""
        return self._catalogue.document(document_id)

    def chunks(self, document_id: str) -> list[Chunk]:
        """Return a document's chunks in the order of the text; none for an unknown id."""
        condition = self._catalogue.filter_of(Where(document_ids=(document_id,)))
        if isinstance(condition, Nothing):
            return []
        found = [
            stored_chunk(str(point.id), point.payload or {}).chunk
            for points in scroll(self._connection, self.name, condition)
            for point in points
        ]
        return sorted(found, key=lambda chunk: (chunk.start, chunk.end))

    def scroll(
        self, *, batch_size: int = 1024
    ) -> Iterator[tuple[list[StoredChunk], NDArray[np.float32]]]:
        """Yield every chunk once with its (N, D) vectors, in the order of ids.

        What changes meanwhile may be seen old or new.
        """
        import numpy as np

        for points in scroll(self._connection, self.name, batch_size=batch_size, vectors=[DENSE]):
            stored = [stored_chunk(str(point.id), point.payload or {}) for point in points]
            yield stored, np.array([dense_of(point) for point in points], dtype=np.float32)

    def check_index(self, *, sample: int = 64) -> NoReturn:
        """Refuse: what the collection should be, only the machine that has its content knows."""
        self._refuse("verified")

    def build(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> NoReturn:
        """Refuse: only the machine that has the collection's content writes."""
        self._refuse("built")

    def rebuild_index(self) -> NoReturn:
        """Refuse: only the machine that has the collection's content writes."""
        self._refuse("made anew")

    def flush(self) -> None:
        """Do nothing: a reader writes nothing."""

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._is_own:
            self._connection.close()

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self._connection, self.name)

    @cached_property
    def _dense(self) -> DenseSearch:
        return DenseSearch(self._connection, self.name)

    @cached_property
    def _words(self) -> WordSearch:
        return WordSearch(self._connection, self.name, typical_tokens=self.about.typical_tokens)

    @cached_property
    def _probe(self) -> Probe:
        return Probe(self._connection, self.name)

    def _probe_terms(self, text: str) -> Weighed:
        return self._probe.weighed(text, self._catalogue.state())

    def _refuse(self, what: str) -> NoReturn:
        raise StorageError(
            f"nothing can be {what} in {self._asked_name!r} at {self._connection.settings.place} "
            "from here: this only reads. Index on the machine that has the collection"
        )
