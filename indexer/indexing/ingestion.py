"""Takes files as they are read, has their texts embedded, and stores files that are complete.

The model is given slices of texts, whichever files these are of, so that it never waits while there
is anything to do; what it has not begun is bounded, so that memory does not grow with the corpus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from indexer.documents import embedding_text, text_hash
from indexer.indexing.index_report import Change, FileAtWork, FileOutcome
from indexer.indexing.memory_plan import result_bytes
from indexer.indexing.planning import TRANSIENT_CODES, WorkItem
from indexer.storage.ledger import Cause, FileState

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.extraction import ExtractionResult
    from indexer.indexing.embedding import EmbeddingWriter
    from indexer.indexing.extraction_feed import Feed
    from indexer.indexing.tally import Tally

__all__ = ["Ingestion"]

_MOST_FILES = 1024  # waiting for the model or to be stored
_STORED_AT_ONCE = 256
_WAIT_S = 1.0  # files wait no longer for company
_POLL_S = 0.05
_KEPT = "; what was indexed of it before stays searchable"
_MARK_S = 1.0
_SHOWN_AT_WORK = 30

_CLOCK_GRAIN_NS = 2_000_000_000  # FAT keeps times to two seconds, most others to milliseconds
_CLOCK_SKEW_NS = 24 * 3600 * 1_000_000_000


@dataclass(slots=True)
class _Read:
    """A file that was read and is not stored yet."""

    item: WorkItem
    result: ExtractionResult
    hashes: list[bytes] = field(default_factory=list)
    rows: dict[bytes, int] = field(default_factory=dict)
    wanted: int = 0
    reused: int = 0
    weight: int = 0


class Ingestion:
    """Takes files from a feed until it ends, and makes them searchable.

    Args:
        collection: where to.
        writer: embeds texts into the collection's archive.
        tally: told of every file.
        should_stop: asked between slices.
        started_ns: when the run began, before any file was looked at; nanoseconds since the epoch.
        most_bytes: of documents that wait for the model; a larger one waits alone.
    """

    def __init__(
        self,
        collection: Collection,
        writer: EmbeddingWriter,
        tally: Tally,
        *,
        should_stop: Callable[[], bool],
        started_ns: int,
        most_bytes: int,
    ) -> None:
        self._collection = collection
        self._writer = writer
        self._tally = tally
        self._should_stop = should_stop
        self._started_ns = started_ns
        self._most_bytes = most_bytes
        self._texts: dict[bytes, str] = {}  # for the model, in order
        self._wanting: dict[bytes, list[_Read]] = {}  # which files wait for a text's vector
        self._complete: list[_Read] = []
        self._embedding: dict[bytes, _Read] = {}  # files of which the model was given something
        self._files = 0
        self._bytes = 0
        self._arrived = self._stored = self._marked = time.monotonic()

    def run(self, feed: Feed) -> None:
        """Store everything that the feed delivers."""
        self._tally.at_work = self._at_work
        try:
            while not self._should_stop():
                self._tally.tell()
                self._take_from(feed)
                if feed.is_exhausted and not self._files:
                    return
                self._give_to_model(feed)
                self._collect(timeout_s=0.0)
                self._mark_begun(feed)
                if self._complete and (feed.is_exhausted or self._is_time_to_store):
                    self._store_complete()
            self._end_early()
        finally:
            self._writer.close()

    @property
    def _is_full(self) -> bool:
        return self._files >= _MOST_FILES or self._bytes >= self._most_bytes

    def _take_from(self, feed: Feed) -> None:
        """Take what was read, as long as there is room; wait a moment where nothing is."""
        if self._is_full or feed.is_exhausted:
            self._collect(timeout_s=_POLL_S)  # nothing to take: the model is what to wait for
            return
        found = feed.next_result(_POLL_S)
        while found is not None:
            self._take(*found)
            if self._is_full or len(self._texts) >= self._writer.slice_size:
                return
            found = feed.next_result(0.0) if feed.has_results else None

    def _take(self, item: WorkItem, result: ExtractionResult) -> None:
        read = _Read(item, result)
        self._files += 1
        if result.status != "ready" or result.document is None or _is_as_stored(read):
            self._complete.append(read)
            return
        texts = [embedding_text(chunk) for chunk in result.chunks]
        read.hashes = [text_hash(text) for text in texts]
        read.weight = result_bytes(result.document.text, len(texts))
        read.rows = self._writer.known(list(dict.fromkeys(read.hashes)))
        self._bytes += read.weight
        for key, text in zip(read.hashes, texts, strict=True):
            others = self._wanting.get(key)
            if key in read.rows or (others is not None and others[-1] is read):
                read.reused += 1
            elif others is not None:  # another file has the same text, and the model has it to do
                read.reused += 1
                read.wanted += 1
                others.append(read)
            else:
                read.wanted += 1
                self._wanting[key] = [read]
                if not self._texts:
                    self._arrived = time.monotonic()
                self._texts[key] = text
        if not read.wanted:
            self._complete.append(read)

    def _give_to_model(self, feed: Feed) -> None:
        """Hand over slices: full ones, or what there is where the model has nothing to do."""
        writer = self._writer
        while self._texts and writer.has_room:
            is_late = time.monotonic() - self._arrived > _WAIT_S and not feed.has_results
            is_last = feed.is_exhausted or self._is_full
            if len(self._texts) < writer.slice_size and not (
                writer.is_idle and (is_late or is_last)
            ):
                return
            keys = list(islice(self._texts, writer.slice_size))
            self._begin_embedding(keys)
            writer.submit({key: self._texts.pop(key) for key in keys})
            self._arrived = time.monotonic()

    def _begin_embedding(self, keys: Sequence[bytes]) -> None:
        reads = [read for key in keys for read in self._wanting[key]]
        begun = {read.item.entry.key: read for read in reads}
        self._mark("embedding", [path for path in begun if path not in self._embedding])
        self._embedding.update(begun)

    def _at_work(self) -> tuple[FileAtWork, ...]:
        return tuple(
            FileAtWork(read.item.entry.source, len(read.hashes) - read.wanted, len(read.hashes))
            for read in islice(self._embedding.values(), _SHOWN_AT_WORK)
        )

    def _collect(self, *, timeout_s: float) -> None:
        """Keep the vectors of a slice that is done, and store the files that this completes."""
        if not self._writer.wait(timeout_s):
            return
        # open files outlive their folder: hours of work could go where nobody finds it
        self._collection.check_alive()
        for key, row in self._writer.collect().items():
            for read in self._wanting.pop(key):
                read.rows[key] = row
                read.wanted -= 1
                if not read.wanted:
                    self._complete.append(read)
        self._store_complete()

    @property
    def _is_time_to_store(self) -> bool:
        return len(self._complete) >= _STORED_AT_ONCE or time.monotonic() - self._stored > _WAIT_S

    def _end_early(self) -> None:
        """Keep what the model has begun; files that are not embedded whole are left to later."""
        self._writer.withdraw()
        while not self._writer.is_done:
            self._collect(timeout_s=_POLL_S)
        self._store_complete()

    def _mark_begun(self, feed: Feed) -> None:
        now = time.monotonic()
        if now - self._marked > _MARK_S:
            self._marked = now
            self._mark("extracting", feed.take_begun())

    def _mark(self, state: FileState, paths: Sequence[bytes]) -> None:
        if paths:
            self._collection.ledger.mark(paths, state)

    def _store_complete(self) -> None:
        """Store the files all of whose texts have vectors, in one transaction."""
        complete, self._complete = self._complete, []
        if complete:
            self._collection.check_alive()
            with self._collection.database.write():
                outcomes = [self._store(read) for read in complete]
            self._files -= len(complete)
            for read in complete:
                self._embedding.pop(read.item.entry.key, None)
            self._bytes -= sum(read.weight for read in complete)
            for outcome in outcomes:
                self._tally.account(outcome)
        self._stored = time.monotonic()
        self._tally.tell()

    def _store(self, read: _Read) -> FileOutcome:
        item, result = read.item, read.result
        if _is_as_stored(read):
            self._collection.store.touch(item.document_id, modified_at=result.mtime_ns / 1e9)
            return self._finish(read, "unchanged", chunks=item.stored_chunks)
        if result.status != "ready" or result.document is None:
            return self._give_up(item, result)
        self._collection.store.upsert(
            result.document,
            result.chunks,
            [read.rows[key] for key in read.hashes],
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
