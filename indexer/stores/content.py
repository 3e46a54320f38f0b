"""The half of a store that answers from a collection's content, whatever index searches it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from indexer.documents import Chunk, Document
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.stores import lexical, reading
from indexer.stores.base import DocumentRecord, StoredChunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.searching.filters import Where

__all__ = ["ContentStore"]


class ContentStore:
    """What stores with the content at hand have in common.

    Args:
        database: the content's database.
        archive: the content's vectors.
    """

    def __init__(self, database: Database, archive: VectorArchive) -> None:
        self._database = database
        self._archive = archive

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

    def containing(
        self, phrase: str, *, among: Sequence[str] | None = None, where: Where | None = None
    ) -> set[str]:
        """Return the ids of the chunks that contain a phrase: its words, one after the other."""
        with self._database.read() as connection:
            documents = reading.document_keys(connection, where) if among is None else None
            return lexical.chunks_containing(connection, phrase, among=among, documents=documents)

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the stored (D,) vector of each of the given chunks; unknown ids are left out."""
        with self._database.read() as connection:
            rows = reading.chunk_rows(connection, chunk_ids)
        return dict(zip(rows, self._archive.read(list(rows.values())), strict=True)) if rows else {}

    def scroll(
        self, *, batch_size: int = 1024
    ) -> Iterator[tuple[list[StoredChunk], NDArray[np.float32]]]:
        """Yield every chunk of one state of the collection with its (N, D) vectors, in batches."""
        with self._database.read(committed=True) as connection:
            for chunks, rows in reading.scroll_chunks(connection, batch_size=batch_size):
                yield chunks, self._archive.read(rows)
