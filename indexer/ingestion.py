"""Gathers what was read into groups, embeds each group, and stores it in one transaction.

Groups keep the model fed and the disk from waiting for every small file; they are bounded, so that
memory does not grow with the corpus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.documents import embedding_text, text_hash
from indexer.index_report import Change, FileOutcome
from indexer.ledger import Cause, FileState
from indexer.planning import TRANSIENT_CODES, WorkItem

if TYPE_CHECKING:
    from indexer.collection import Collection
    from indexer.embedding import EmbeddingWriter
    from indexer.extraction import ExtractionResult
    from indexer.extraction_feed import ExtractionFeed
    from indexer.tally import Tally

__all__ = ["Ingestion"]

_GROUP_FILES = 256
_GROUP_CHUNKS = 4096
_GROUP_CHARS = 8_000_000
_GROUP_AGE_S = 1.0  # files wait no longer for company while the model has nothing to do
_POLL_S = 0.2
_KEPT = "; what was indexed of it before stays searchable"
_MARK_S = 0.5

_CLOCK_GRAIN_NS = 2_000_000_000  # FAT keeps times to two seconds, most others to milliseconds
_CLOCK_SKEW_NS = 24 * 3600 * 1_000_000_000


@dataclass(slots=True)
class _Read:
    """A file that was read, waiting to be stored."""

    item: WorkItem
    result: ExtractionResult
    hashes: list[bytes] = field(default_factory=list)
    reused: int = 0

    def hashes_are_in(self, rows: dict[bytes, int]) -> bool:
        """Return whether all of its texts have vectors."""
        return all(key in rows for key in self.hashes)


class _Group:
    """Files that are stored together."""

    def __init__(self) -> None:
        self.files: list[_Read] = []
        self.rows: dict[bytes, int] = {}
        self.texts: dict[bytes, str] = {}
        self.chunks = 0
        self.chars = 0
        self.begun = time.monotonic()

    @property
    def age_s(self) -> float:
        """How long its first file has been waiting; 0 while there is none."""
        return time.monotonic() - self.begun if self.files else 0.0

    def is_full(self, texts: int) -> bool:
        """Return whether to store it now, given how many texts the model takes at once."""
        return (
            len(self.texts) >= texts
            or len(self.files) >= _GROUP_FILES
            or self.chunks >= _GROUP_CHUNKS
            or self.chars >= _GROUP_CHARS
        )


class Ingestion:
    """Takes files from a feed until it ends, and makes them searchable.

    Args:
        collection: where to.
        writer: embeds texts into the collection's archive.
        tally: told of every file.
        should_stop: asked between slices of a group.
        started_ns: when the run began, before any file was looked at; nanoseconds since the epoch.
    """

    def __init__(
        self,
        collection: Collection,
        writer: EmbeddingWriter,
        tally: Tally,
        *,
        should_stop: Callable[[], bool],
        started_ns: int,
    ) -> None:
        self._collection = collection
        self._writer = writer
        self._tally = tally
        self._should_stop = should_stop
        self._started_ns = started_ns
        self._group = _Group()
        self._marked = 0.0

    def run(self, feed: ExtractionFeed, work: Sequence[WorkItem]) -> None:
        """Store everything that the feed delivers; ``work`` are the files it was given."""
        waiting = {item.entry.path: item for item in work}
        while not self._should_stop():
            result = feed.next_result(_POLL_S)
            if result is not None:
                self._take(waiting.pop(result.request.path), result)
            elif feed.is_exhausted:
                break
            self._mark_begun(feed)
            if self._group.is_full(self._writer.slice_size) or (
                # no more company at hand: better a small group than an idle model
                self._group.age_s > _GROUP_AGE_S and not feed.has_results
            ):
                self._store_group()
        self._store_group()

    def _take(self, item: WorkItem, result: ExtractionResult) -> None:
        group = self._group
        if not group.files:
            group.begun = time.monotonic()
        read = _Read(item, result)
        group.files.append(read)
        if result.status != "ready" or _is_as_stored(read):
            return
        texts = [embedding_text(chunk) for chunk in result.chunks]
        read.hashes = [text_hash(text) for text in texts]
        group.rows.update(self._writer.known(read.hashes))
        for key, text in zip(read.hashes, texts, strict=True):
            if key in group.rows or key in group.texts:
                read.reused += 1
            else:
                group.texts[key] = text
        group.chunks += len(texts)
        group.chars += sum(map(len, texts))

    def _mark_begun(self, feed: ExtractionFeed) -> None:
        now = time.monotonic()
        if now - self._marked > _MARK_S:
            self._marked = now
            self._mark("extracting", feed.take_begun())

    def _mark(self, state: FileState, paths: Sequence[bytes]) -> None:
        if paths:
            self._collection.ledger.mark(paths, state)

    def _store_group(self) -> None:
        group, self._group = self._group, _Group()
        # open files outlive their folder: hours of work could go where nobody finds it
        self._collection.check_alive()
        if group.texts and not self._should_stop():
            self._mark("embedding", [read.item.entry.key for read in group.files if read.hashes])
            for rows in self._writer.embed(group.texts):
                group.rows.update(rows)
                self._store_complete(group)
                if self._should_stop():
                    break  # files that are not embedded whole are left to the next run
        self._store_complete(group)

    def _store_complete(self, group: _Group) -> None:
        """Store the files all of whose texts have vectors; the others stay in the group."""
        complete = [read for read in group.files if read.hashes_are_in(group.rows)]
        group.files = [read for read in group.files if not read.hashes_are_in(group.rows)]
        if complete:
            with self._collection.database.write():
                outcomes = [self._store(read, group.rows) for read in complete]
            for outcome in outcomes:
                self._tally.account(outcome)
        self._tally.tell()

    def _store(self, read: _Read, rows: dict[bytes, int]) -> FileOutcome:
        item, result = read.item, read.result
        if _is_as_stored(read):
            self._collection.store.touch(item.document_id, modified_at=result.mtime_ns / 1e9)
            return self._finish(read, "unchanged", chunks=item.stored_chunks)
        if result.status != "ready" or result.document is None:
            return self._give_up(item, result)
        self._collection.store.upsert(
            result.document,
            result.chunks,
            [rows[key] for key in read.hashes],
            modified_at=result.mtime_ns / 1e9,
            size_bytes=result.size,
        )
        self._tally.chunks += len(result.chunks)
        self._tally.reused += read.reused
        change: Change = "updated" if item.stored_chunks else "new"
        return self._finish(read, change, chunks=len(result.chunks))

    def _finish(self, read: _Read, change: Change, *, chunks: int) -> FileOutcome:
        item, result = read.item, read.result
        message = result.message if result.status == "ready" else None
        self._collection.ledger.finish(
            item.entry.key,
            size=result.size,
            mtime_ns=self._proven(result.mtime_ns),
            sha256=result.sha256 or "",
            chunks=chunks,
            message=message,
        )
        return FileOutcome(
            source=item.entry.source,
            state="ready",
            change=change,
            chunks=chunks,
            message=message or "",
            document_id=item.document_id,
        )

    def _give_up(self, item: WorkItem, result: ExtractionResult) -> FileOutcome:
        # what cannot be read now may well be what is stored: only other content takes its place
        is_kept = item.stored_chunks > 0 and (
            result.code in TRANSIENT_CODES or result.sha256 is None
        )
        if item.stored_chunks and not is_kept:
            self._collection.store.delete([item.document_id])
        cause = Cause(
            code=result.code or result.status,
            message=f"{result.message or 'no cause is known'}{_KEPT if is_kept else ''}",
            hint=result.hint or "",
        )
        entry = item.entry
        # a child that died has no stamps to tell
        size, mtime_ns = (
            (result.size, result.mtime_ns) if result.mtime_ns else (entry.size, entry.mtime_ns)
        )
        self._collection.ledger.give_up(
            entry.key,
            result.status,
            cause,
            size=size,
            mtime_ns=self._proven(mtime_ns),
            sha256=result.sha256,
            is_stored=is_kept,
        )
        return FileOutcome(
            source=entry.source,
            state=result.status,
            chunks=item.stored_chunks if is_kept else 0,
            code=cause.code,
            message=cause.message,
            hint=cause.hint,
            document_id=item.document_id,
        )

    def _proven(self, mtime_ns: int) -> int | None:
        """Return a file's time if a later edit is bound to change it, else None.

        A file that was written just before it was read may be written again within the grain of the
        file system's clock, at the same size. Without a time in the ledger the next run reads it
        once more. A time in the far future is not the clock's but somebody's choice.
        """
        is_fresh = -_CLOCK_GRAIN_NS < mtime_ns - self._started_ns < _CLOCK_SKEW_NS
        return None if is_fresh else mtime_ns


def _is_as_stored(read: _Read) -> bool:
    return read.item.stored_sha256 is not None and read.item.stored_sha256 == read.result.sha256
