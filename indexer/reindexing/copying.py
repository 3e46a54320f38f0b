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
from indexer.reindexing.waiting import Waiting
from indexer.stores.writing import delete_documents

if TYPE_CHECKING:
    from indexer.documents import Chunk, Document
    from indexer.indexing.embedding import EmbeddingWriter
    from indexer.storage.archive import VectorArchive
    from indexer.storage.database import Database

__all__ = ["Content", "ContentCopy"]

_ROWS_PER_WRITE = 500
_TAKEN_OVER_AT_ONCE = 2048
_POLL_S = 0.2

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
        waiting = Waiting()
        try:
            for item in changed:
                parcel = transit.load(self._source.database, item.document_id, cut=self._cut)
                if parcel is not None:  # else removed meanwhile: the next comparison says so
                    waiting.add(parcel, self._writer.known(parcel.hashes))
                if not self._embed(waiting, is_end=False):
                    break
            else:
                self._embed(waiting, is_end=True)
            self._keep(waiting)
        finally:
            self._writer.close()
        return not waiting and not self._should_stop()

    def _embed(self, waiting: Waiting, *, is_end: bool) -> bool:
        """Keep the model at work and store what is complete; return False when it was stopped.

        Args:
            waiting: the documents on their way.
            is_end: wait for all of them; otherwise return as soon as there is room for another.
        """
        if not self._shares_vectors:
            waiting.release()
        elif is_end or len(waiting.fresh) >= _TAKEN_OVER_AT_ONCE:
            self._take_over(waiting)
        writer = self._writer
        while True:
            if self._should_stop():
                writer.withdraw()
                while not writer.is_done:  # what the model has begun is not thrown away
                    self._collect(waiting, timeout_s=None)
                return False
            has_slice = len(waiting.texts) >= (1 if is_end else writer.slice_size)
            if has_slice and writer.has_room:
                writer.submit(waiting.next_texts(writer.slice_size))
            elif has_slice or (is_end and not writer.is_done):
                self._collect(waiting, timeout_s=_POLL_S)
            else:
                self._collect(waiting, timeout_s=0.0)
                return True

    def _collect(self, waiting: Waiting, *, timeout_s: float | None) -> None:
        has_arrived = self._writer.wait(timeout_s)
        if has_arrived:
            waiting.arrive(self._writer.collect())
        if has_arrived or waiting.is_worth_a_write:
            self._keep(waiting)

    def _take_over(self, waiting: Waiting) -> None:
        """Take the vectors that the source has; the other texts are for the model."""
        theirs = self._source.archive.lookup(list(waiting.fresh))
        if theirs:
            hashes = list(theirs)
            vectors = self._source.archive.read([theirs[key] for key in hashes])
            rows = self._target.archive.append(hashes, vectors)
            for key in hashes:
                del waiting.fresh[key]
            waiting.arrive(dict(zip(hashes, rows, strict=True)))
            self.taken_over += len(hashes)
        waiting.release()

    def _keep(self, waiting: Waiting) -> None:
        """Store the documents all of whose texts have vectors."""
        complete, rows = waiting.take_complete()
        if complete:
            with self._target.database.write() as connection:
                for parcel in complete:
                    transit.store(connection, parcel, rows)
        self._on_stored(len(complete), sum(parcel.weight for parcel in complete))

    def _settle_ledger(self, comparison: Comparison) -> None:
        """Take over what the ledger says of files that brought no document, or changed since."""
        for paths in _parts(comparison.gone_paths()):
            with self._target.database.write() as connection:
                transit.delete_ledger_rows(connection, paths)
        for rows in _parts(comparison.ledger_rows()):
            with self._target.database.write() as connection:
                transit.store_ledger_rows(connection, rows)


def _parts(items: Iterator[_T]) -> Iterator[list[_T]]:
    while part := list(islice(items, _ROWS_PER_WRITE)):
        yield part
