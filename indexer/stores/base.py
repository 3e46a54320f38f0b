"""What every store can do: the one seam between the indexer and FAISS, Qdrant or what comes next.

A store is derived: it keeps payloads (text, source, page, offsets) and an index over vectors that
the collection's ``VectorArchive`` holds. Higher scores are closer in every store. Knows no models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from indexer.documents import Chunk, Document

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.searching.filters import Where

__all__ = ["DocumentRecord", "IndexFault", "Scored", "StoredChunk", "VectorStore"]


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document without its text, as lists and hits show it.

    Args:
        id: the document's UUID.
        source: absolute path or address, as displayed.
        title: its own title, or its file name.
        media_type: one of ``indexer.loaders.MEDIA_TYPES``.
        modified_at: modification time of the file, seconds since the epoch.
        size_bytes: size of the file.
        chunks: how many chunks it has.
        metadata: further strings as the file states them.
    """

    id: str
    source: str
    title: str
    media_type: str
    modified_at: float
    size_bytes: int
    chunks: int
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with the record of its document."""

    chunk: Chunk
    document: DocumentRecord


@dataclass(frozen=True, slots=True)
class Scored:
    """A chunk id with a score; higher is closer."""

    chunk_id: str
    score: float


@dataclass(frozen=True, slots=True)
class IndexFault:
    """Where an index and the content it was made from disagree.

    Args:
        where: path of the file, or the address of what is not a file.
        what: what is wrong.
        is_damage: False where the index is only behind, and follows by itself when next used.
    """

    where: str
    what: str
    is_damage: bool = True


class VectorStore(Protocol):
    """Payloads, dense search and lexical search over one collection.

    Vectors are float32, unit length, (N, D); scores of dense search are cosines, scores of lexical
    search are BM25 values above zero. Every method works on every store.
    """

    @property
    def dim(self) -> int:
        """Width D of the vectors."""

    @property
    def metric(self) -> Literal["cosine"]:
        """The measure of closeness."""

    def __len__(self) -> int:
        """Return the number of searchable chunks."""

    def upsert(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        rows: Sequence[int],
        *,
        modified_at: float,
        size_bytes: int,
    ) -> None:
        """Make ``chunks`` the whole content of ``document``, replacing what it had before.

        Searches see either the old or the new content, never a mixture.

        Args:
            document: the document, with its text.
            chunks: its passages, in order.
            rows: for each chunk the row of its vector in the collection's ``VectorArchive``.
            modified_at: modification time of the file, seconds since the epoch.
            size_bytes: size of the file.

        Raises:
            StorageError: nothing was written, or what was written is rolled back.
        """

    def touch(self, document_id: str, *, modified_at: float) -> None:
        """Note another modification time of a document whose content is as before.

        Args:
            document_id: the document; an unknown one is passed over.
            modified_at: modification time of the file, seconds since the epoch.
        """

    def delete(self, document_ids: Sequence[str]) -> int:
        """Remove documents with all their chunks; return how many there were. Unknown ids: none."""

    def search(
        self, vectors: NDArray[np.float32], *, top_k: int, where: Where | None = None
    ) -> list[list[Scored]]:
        """Return for each of the (Q, D) queries its ``top_k`` closest chunks, closest first."""

    def search_text(self, text: str, *, top_k: int, where: Where | None = None) -> list[Scored]:
        """Return the ``top_k`` chunks of highest BM25 for a query in plain words, best first."""

    def vector_scores(
        self, vector: NDArray[np.float32], chunk_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the exact cosine of one (D,) query with each of the given chunks."""

    def text_scores(self, text: str, chunk_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 of a query with each of the given chunks; 0.0 where no word matches."""

    def containing(
        self, phrase: str, *, among: Sequence[str] | None = None, where: Where | None = None
    ) -> set[str]:
        """Return the ids of the chunks that contain a phrase: its words, one after the other.

        Words are compared by their stems, as in ``search_text``, and stop words count.

        Args:
            phrase: one word or more; what has none is contained in nothing.
            among: the chunks to look at; None looks at all.
            where: the documents to look at, where ``among`` is None.
        """

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the stored (D,) vector of each of the given chunks; unknown ids are left out."""

    def lengths(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Return the UTF-8 bytes of the context and text of each of the given chunks."""

    def get(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """Return the chunks with their documents' records; unknown ids are left out."""

    def documents(
        self, *, where: Where | None = None, offset: int = 0, limit: int | None = None
    ) -> list[DocumentRecord]:
        """Return records ordered by source."""

    def document(self, document_id: str) -> Document | None:
        """Return a document with its text, or None when there is no such id."""

    def chunks(self, document_id: str) -> list[Chunk]:
        """Return a document's chunks in the order of the text; none for an unknown id."""

    def scroll(
        self, *, batch_size: int = 1024
    ) -> Iterator[tuple[list[StoredChunk], NDArray[np.float32]]]:
        """Yield every chunk once with its (N, D) vectors, in batches."""

    def check_index(self, *, sample: int = 64) -> list[IndexFault]:
        """Compare the index with the content it was made from, and change neither.

        Compares the exact number of vectors, and their checksums where the index has any; else a
        sample of its vectors and payloads.

        Args:
            sample: how many vectors and payloads are compared where there are no checksums.
        """

    def build(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Make the index of all that there is, without a model; searches go on meanwhile.

        Args:
            progress: told how many vectors of how many are in it.
            should_stop: asked now and then; when it says so, nothing is lost.

        Returns:
            Whether it was built; not after a stop.

        Raises:
            StorageError: it cannot be written; the content is untouched.
        """

    def rebuild_index(self) -> None:
        """Set the index aside and make it anew from the content, without a model.

        Raises:
            StorageError: it cannot be written; the content is untouched.
        """

    def flush(self) -> None:
        """Write what is derived (the index file) to disk; committed content needs no flush."""

    def close(self) -> None:
        """Flush and release files and locks; may be called twice."""
