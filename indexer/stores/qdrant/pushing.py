"""Brings a Qdrant collection up to date with the content that it is made from.

Works in rounds of some thousand chunks: all their new points are written and confirmed, then what
the documents had before is removed, then the count is checked, then the state moves on. A search
in between may see old and new passages of a document side by side, never neither; after a kill the
round is done again, which changes nothing that was done.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from indexer.collections.search_defaults import read_search_defaults
from indexer.errors import StorageError
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.stores.qdrant.batches import chunk_batches, document_batches
from indexer.stores.qdrant.layout import About, create, documents_of, find_metadata, read_about
from indexer.stores.qdrant.outbox import last_sequence, note_push, pending, stamps
from indexer.stores.qdrant.retrieval import id_parts, scroll
from indexer.stores.qdrant.state import State, read_state, write_state
from indexer.stores.qdrant.statistics import content_tokens
from indexer.stores.reading import chunk_count, known_documents, load_records_of

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

    from indexer.collections.config import CollectionConfig
    from indexer.stores.qdrant.connection import Connection

__all__ = ["Progress", "Pusher"]

Progress = Callable[[int, int], None]
"""Told how many of how many chunks are in Qdrant."""

_ROUND_CHUNKS = 4096
_TOUCHES_PER_REQUEST = 128
_TYPICAL_TOKENS = 200.0  # of a chunk, where there are too few to know
_TELLING_CHUNKS = 100
_MANY_FOR_LOCAL = 20_000

logger = logging.getLogger(__name__)


class Pusher:
    """Pushes documents from one content to one Qdrant collection; one process at a time does.

    Args:
        connection: where.
        name: of the Qdrant collection.
        database: the content's database.
        archive: the content's vectors.
        config: what the collection was made with, for readers.
        title: name of the collection, for readers.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        database: Database,
        archive: VectorArchive,
        *,
        config: CollectionConfig | None,
        title: str,
    ) -> None:
        self._connection = connection
        self._name = name
        self._database = database
        self._archive = archive
        self._config = config
        self._title = title
        self._about: About | None = None
        self._done = -1
        self._has_warned = False

    def is_current(self) -> bool:
        """Return whether this process has seen Qdrant contain all that the content has."""
        with self._database.read(committed=True) as connection:
            return last_sequence(connection) <= self._done

    def forget(self) -> None:
        """Forget what Qdrant had: it was removed there."""
        self._about = None
        self._done = -1

    def push(
        self,
        *,
        wait_s: float = 0.0,
        limit_s: float | None = None,
        defer_graph: bool = False,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Push what Qdrant does not have yet.

        Args:
            wait_s: how long to wait while another process pushes.
            limit_s: begin no further round after this time.
            defer_graph: where the collection is not there yet, make it without its graph.
            progress: told after every round.
            should_stop: asked before every round.

        Returns:
            Whether Qdrant contains all that the content has.

        Raises:
            StorageError: Qdrant refused, does not answer, or has not what it confirmed.
        """
        until = None if limit_s is None else time.monotonic() + limit_s
        with self._right_to_push(wait_s) as may_push:
            if not may_push:
                return False
            state = self._begin(defer_graph=defer_graph)
            if state is None:
                return True  # no vector was ever made: there is nothing to search
            while True:
                if should_stop() or (until is not None and time.monotonic() > until):
                    return False
                following = self._round(state, progress)
                if following is None:
                    break
                state = following
            self._finish(state)
            return True

    def check_counts(self) -> None:
        """Check that Qdrant has as many chunks as the content, counted exactly.

        Raises:
            StorageError: it has not; the message says what to do.
        """
        with self._database.read(committed=True) as connection:
            expected = chunk_count(connection)
            if last_sequence(connection) > self._done:
                return  # somebody is writing
        found = self._count(None)
        if found != expected:
            raise StorageError(
                f"the collection {self._name!r} at {self._connection.settings.place} has {found} "
                f"chunks, not {expected}: somebody else changed it. Make it anew, which embeds "
                f"nothing again: gircse reindex {self._title} --store qdrant"
            )

    @contextmanager
    def _right_to_push(self, wait_s: float) -> Iterator[bool]:
        """Hold the lock that only one pusher of this content has; give False without it."""
        if self._database.read_only:
            yield False
            return
        path = self._database.path.with_name("qdrant.lock")
        lock = FileLock(path, timeout=wait_s, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except (OSError, NotImplementedError) as error:
            raise StorageError(
                f"cannot lock {path}: {error}; check the folder's permissions and that its file "
                "system supports file locks"
            ) from error
        try:
            yield True
        finally:
            lock.release()

    def _begin(self, *, defer_graph: bool) -> State | None:
        """Return the state to go on from; None while there is no collection and no vector."""
        if self._about is None:
            if find_metadata(self._connection, self._name) is None:
                if not self._archive.dim:
                    return None
                self._make(defer_graph=defer_graph)
            self._about = self._checked_about()
        state = read_state(self._connection, self._name)
        with self._database.read(committed=True) as connection:
            known = stamps(connection, self._name)
            last = last_sequence(connection)
        if state is None:
            return State()
        if not state.stamp or (state.stamp in known and state.sequence <= last):
            return state
        logger.warning(
            "%s at %s belongs to another state of the collection than the one here (a backup?); "
            "it is brought up to date document by document",
            self._name,
            self._connection.settings.place,
        )
        return State(stamp=state.stamp, is_whole=False)

    def _make(self, *, defer_graph: bool) -> None:
        with self._database.read(committed=True) as connection:
            chunks = chunk_count(connection)
            average = content_tokens(connection) / max(chunks, 1)
        about = About(
            name=self._title,
            config=self._config,
            typical_tokens=average if chunks >= _TELLING_CHUNKS else _TYPICAL_TOKENS,
            dim=self._archive.dim,
        )
        create(self._connection, self._name, about, defer_graph=defer_graph)

    def _checked_about(self) -> About:
        about = read_about(self._connection, self._name)
        theirs, ours = about.config and about.config.id, self._config and self._config.id
        if theirs != ours or (self._archive.dim and about.dim != self._archive.dim):
            raise StorageError(
                f"{self._name!r} at {self._connection.settings.place} belongs to another "
                f"collection (named {about.name!r}, width {about.dim}, id {theirs}; this one has "
                f"width {self._archive.dim} and id {ours}); nothing was written to it. Make an "
                f"index under a name of its own: gircse reindex {self._title} --store qdrant"
            )
        # What an interrupted creation left out is made up for.
        create(self._connection, self._name, about)
        return about

    def _round(self, state: State, progress: Progress | None) -> State | None:
        """Push the next documents; return the new state, or None where there are none."""
        with self._database.read(committed=True) as connection:
            documents = pending(connection, since=state.sequence, points=_ROUND_CHUNKS)
        if not documents:
            return None
        stamp = secrets.token_hex(8)
        with self._database.write() as connection:
            note_push(connection, self._name, accepted=state.stamp, intended=stamp)
        # One view of the content for the whole round. What changed since has a later sequence.
        with self._database.read(committed=True) as connection:
            replaced = [one.document_id for one in documents if not one.is_touched]
            touched = [one for one in documents if one.is_touched]
            if replaced:
                self._replace(connection, replaced, stamp)
            if touched:
                records = load_records_of(connection, [one.document_id for one in touched])
                self._touch({record.id: record.modified_at for record in records})
            following = State(
                sequence=documents[-1].sequence,
                stamp=stamp,
                chunks=chunk_count(connection),
                tokens=content_tokens(connection),
                is_whole=state.is_whole,
                defaults=read_search_defaults(self._database),
            )
        write_state(self._connection, self._name, following)
        self._done = following.sequence
        if progress is not None:
            progress(self._count(None), following.chunks)
        return following

    def _finish(self, state: State) -> None:
        with self._database.read(committed=True) as connection:
            chunks, tokens = chunk_count(connection), content_tokens(connection)
        final = State(
            state.sequence, state.stamp, chunks, tokens, True, read_search_defaults(self._database)
        )
        if not state.is_whole:
            self._remove_unknown()
        if final != state:
            write_state(self._connection, self._name, final)
        if self._connection.is_local and chunks > _MANY_FOR_LOCAL and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%d chunks are many for Qdrant's local mode, which compares every query with all "
                "of them in Python; use a Qdrant server (qdrant.url) or --store faiss",
                chunks,
            )
        self._done = state.sequence

    def _replace(self, connection: sqlite3.Connection, ids: list[str], stamp: str) -> None:
        """Make what the content has of these documents all that Qdrant has of them."""
        assert self._about is not None
        batches = chunk_batches(
            connection,
            self._archive,
            ids,
            typical_tokens=self._about.typical_tokens,
            revision=stamp,
            batch_size=self._connection.settings.batch_size,
        )
        self._upload(batches, _stale(ids, stamp))
        self._check_round(connection, ids)
        documents = document_batches(connection, ids, revision=stamp)
        self._upload(documents, _stale(ids, stamp), name=documents_of(self._name))

    def _upload(
        self,
        batches: Iterable[list[models.PointStruct]],
        stale: models.Filter,
        *,
        name: str | None = None,
    ) -> None:
        """Write points, then remove what is stale: in one request with the last of them."""
        name = name or self._name
        last: list[models.PointStruct] = []
        threads = 1 if self._connection.is_local else self._connection.settings.upload_threads
        with ThreadPoolExecutor(threads, thread_name_prefix="qdrant-upload") as pool:
            sent: deque[Future[None]] = deque()
            for batch in batches:
                if last:
                    sent.append(pool.submit(self._send, name, last, None))
                last = batch
                if len(sent) > threads:
                    sent.popleft().result()
            for future in sent:
                future.result()
        self._send(name, last, stale)

    def _send(
        self, name: str, points: list[models.PointStruct], stale: models.Filter | None
    ) -> None:
        from qdrant_client import models

        operations: list[models.UpdateOperation] = []
        if points:
            operations.append(models.UpsertOperation(upsert=models.PointsList(points=points)))
        if stale is not None:
            selector = models.FilterSelector(filter=stale)
            operations.append(models.DeleteOperation(delete=selector))
        self._connection.write(
            f"writing of {len(points)} points to {name!r}",
            lambda client: client.batch_update_points(name, operations, wait=True),
        )

    def _touch(self, times: Mapping[str, float]) -> None:
        """Replace the modification times of documents whose content is as before."""
        from qdrant_client import models

        operations: list[models.UpdateOperation] = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload={"modified_at": modified_at}, filter=_of_documents([document_id])
                )
            )
            for document_id, modified_at in times.items()
        ]
        for name in (self._name, documents_of(self._name)):
            for begin in range(0, len(operations), _TOUCHES_PER_REQUEST):
                part = operations[begin : begin + _TOUCHES_PER_REQUEST]

                def send(
                    client: QdrantClient,
                    name: str = name,
                    part: list[models.UpdateOperation] = part,
                ) -> None:
                    client.batch_update_points(name, part, wait=True)

                self._connection.write(f"change of times in {name!r}", send)

    def _check_round(self, connection: sqlite3.Connection, ids: list[str]) -> None:
        """Check that Qdrant has as many chunks of these documents as the content, exactly."""
        records = load_records_of(connection, ids)
        found = self._count(_of_documents(ids))
        if found == sum(record.chunks for record in records):
            return
        for record in records:
            found = self._count(_of_documents([record.id]))
            if found != record.chunks:
                raise StorageError(
                    f"Qdrant at {self._connection.settings.place} has {found} chunks of "
                    f"{record.source} after it confirmed {record.chunks}; look into the server's "
                    "log and free disk space, then run the command again"
                )

    def _count(self, condition: models.Filter | None) -> int:
        answer = self._connection.read(
            f"count of {self._name!r}",
            lambda client: client.count(self._name, count_filter=condition, exact=True),
        )
        return answer.count

    def _remove_unknown(self) -> None:
        """Remove the documents that Qdrant has and the content has not."""
        with self._database.read(committed=True) as connection:
            known = known_documents(connection)
        for name in (self._name, documents_of(self._name)):
            unknown = {
                document_id
                for points in scroll(self._connection, name, payload=["document"])
                for point in points
                if (document_id := (point.payload or {}).get("document")) is not None
                and document_id not in known
            }
            for part in id_parts(sorted(unknown)):
                self._upload([], _of_documents(part), name=name)


def _of_documents(ids: Sequence[str]) -> models.Filter:
    from qdrant_client import models

    match = models.MatchAny(any=list(ids))
    return models.Filter(must=[models.FieldCondition(key="document", match=match)])


def _stale(ids: Sequence[str], stamp: str) -> models.Filter:
    """Return what these documents had before the push of that stamp."""
    from qdrant_client import models

    fresh = models.FieldCondition(key="revision", match=models.MatchValue(value=stamp))
    return models.Filter(must=_of_documents(ids).must, must_not=[fresh])
