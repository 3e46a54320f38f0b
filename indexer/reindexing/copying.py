"""Copies documents from one content into another that embeds, and maybe cuts, them in its own way.

A document arrives whole, with its ledger row, in one transaction; its vectors are in the archive
before that. Killed at any moment, a copy goes on from what the comparison then finds missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from indexer.reindexing import transit
from indexer.reindexing.difference import Changed, Comparison
from indexer.stores.writing import delete_documents

if TYPE_CHECKING:
    from indexer.archive import VectorArchive
    from indexer.database import Database
    from indexer.documents import Chunk, Document
    from indexer.embedding import EmbeddingWriter

__all__ = ["Content", "ContentCopy"]

_GROUP_DOCUMENTS = 256
_GROUP_CHUNKS = 4096
_GROUP_CHARS = 8_000_000
_ROWS_PER_WRITE = 500

_T = TypeVar("_T")


class Content(Protocol):
    """Documents with the vectors that their chunks use."""

    @property
    def database(self) -> Database:
        """Documents, chunks, words and ledger."""

    @property
    def archive(self) -> VectorArchive:
        """The vectors."""


class ContentCopy:
    """Brings one content to the documents of another, which may change meanwhile.

    Args:
        source: whose documents are wanted.
        target: what shall hold them.
        writer: embeds texts into the target's archive.
        cut: cuts a document into chunks; None keeps the chunks of the source.
        shares_vectors: the vectors of the source are what ``writer`` would make: those of equal
            texts are taken over without asking the model.
        should_stop: asked between slices.
        on_stored: told of documents that have arrived: how many, and their chunks in the source.
    """

    def __init__(
        self,
        source: Content,
        target: Content,
        *,
        writer: EmbeddingWriter,
        cut: Callable[[Document], list[Chunk]] | None,
        shares_vectors: bool,
        should_stop: Callable[[], bool] = lambda: False,
        on_stored: Callable[[int, int], None] = lambda documents, chunks: None,
    ) -> None:
        self._source = source
        self._target = target
        self._writer = writer
        self._cut = cut
        self._shares_vectors = shares_vectors
        self._should_stop = should_stop
        self._on_stored = on_stored
        self.taken_over = 0

    def compare(self) -> Comparison:
        """Return the comparison of source and target; the caller closes it."""
        return Comparison(
            self._source.database.path, self._target.database.path, same_cutting=self._cut is None
        )

    def advance(self) -> bool:
        """Copy once all that the comparison finds; return False when it was stopped before the end.

        Raises:
            StorageError: a disk is full, or a document of the source is damaged; what has arrived
                stays, and the next call goes on from there.
        """
        with self.compare() as comparison:
            for part in _parts(comparison.gone()):
                with self._target.database.write() as connection:
                    delete_documents(connection, part)
            if not self._copy(comparison.changed()):
                return False
            self._settle_ledger(comparison)
        return True

    def _copy(self, changed: Iterator[Changed]) -> bool:
        group = _Group()
        for item in changed:
            if self._should_stop():
                return False
            parcel = transit.load(self._source.database, item.document_id, cut=self._cut)
            if parcel is None:
                continue  # removed meanwhile: the next comparison says so
            group.add(parcel, self._writer.known(parcel.hashes))
            if group.is_full(self._writer.slice_size):
                if not self._store(group):
                    return False
                group = _Group()
        return self._store(group)

    def _store(self, group: _Group) -> bool:
        """Embed and store a group; return False when it was stopped before all of it was there."""
        if self._shares_vectors:
            self._take_over(group)
        self._keep(group)
        if group.texts and self._should_stop():
            return False
        for rows in self._writer.embed(group.texts):
            group.rows.update(rows)
            self._keep(group)
            if group.parcels and self._should_stop():
                return False  # what is embedded by half is in the archive, for the next run
        return True

    def _take_over(self, group: _Group) -> None:
        theirs = self._source.archive.lookup(list(group.texts))
        if theirs:
            hashes = list(theirs)
            vectors = self._source.archive.read([theirs[key] for key in hashes])
            rows = self._target.archive.append(hashes, vectors)
            group.rows.update(zip(hashes, rows, strict=True))
            for key in hashes:
                del group.texts[key]
            self.taken_over += len(hashes)

    def _keep(self, group: _Group) -> None:
        """Store the documents all of whose texts have vectors; the others stay in the group."""
        complete = group.take_complete()
        if complete:
            with self._target.database.write() as connection:
                for parcel in complete:
                    transit.store(connection, parcel, group.rows)
            self._on_stored(len(complete), sum(parcel.weight for parcel in complete))

    def _settle_ledger(self, comparison: Comparison) -> None:
        """Take over what the ledger says of files that brought no document, or changed since."""
        for paths in _parts(comparison.gone_paths()):
            with self._target.database.write() as connection:
                transit.delete_ledger_rows(connection, paths)
        for rows in _parts(comparison.ledger_rows()):
            with self._target.database.write() as connection:
                transit.store_ledger_rows(connection, rows)


class _Group:
    """Documents that are embedded together."""

    def __init__(self) -> None:
        self.parcels: list[transit.Parcel] = []
        self.rows: dict[bytes, int] = {}
        self.texts: dict[bytes, str] = {}
        self._chunks = 0
        self._chars = 0

    def add(self, parcel: transit.Parcel, known: dict[bytes, int]) -> None:
        """Take in a document, given the rows of those of its texts that are in the archive."""
        self.parcels.append(parcel)
        self.rows.update(known)
        self.texts.update((key, text) for key, text in parcel.texts.items() if key not in self.rows)
        self._chunks += len(parcel.chunks)
        self._chars += len(parcel.document.text) + sum(map(len, parcel.texts.values()))

    def is_full(self, texts: int) -> bool:
        """Return whether to store it now, given how many texts the model takes at once."""
        return (
            len(self.texts) >= texts
            or len(self.parcels) >= _GROUP_DOCUMENTS
            or self._chunks >= _GROUP_CHUNKS
            or self._chars >= _GROUP_CHARS
        )

    def take_complete(self) -> list[transit.Parcel]:
        """Remove and return the documents all of whose texts have rows."""
        complete: list[transit.Parcel] = []
        others: list[transit.Parcel] = []
        for parcel in self.parcels:
            is_complete = all(key in self.rows for key in parcel.hashes)
            (complete if is_complete else others).append(parcel)
        self.parcels = others
        return complete


def _parts(items: Iterator[_T]) -> Iterator[list[_T]]:
    while part := list(islice(items, _ROWS_PER_WRITE)):
        yield part
