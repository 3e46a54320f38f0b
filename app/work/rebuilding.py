"""The one thread that rebuilds collections, so that a request outlives a closed tab and a restart.

Knows nothing of Streamlit. How far a rebuild is can be read by any process from the collection's
own note, those begun on the command line included; what was asked for here is kept in a small file
until it is done, and gone on with when the app is started again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from app.open_collections import OpenCollections
from app.work.background import Background, surprise_text
from app.work.rebuild_requests import RebuildRequests
from indexer.embedder import Embedder, ModelError
from indexer.errors import CollectionBusyError, CollectionNotFoundError, IndexerError
from indexer.reindexing.cancelling import cancel_rebuild
from indexer.reindexing.drafts import find_draft
from indexer.reindexing.progress import ReindexProgress
from indexer.reindexing.rebuild_note import RebuildNote, read_note
from indexer.reindexing.report import ReindexReport
from indexer.reindexing.request import ReindexRequest
from indexer.reindexing.run import plan_reindex, reindex

__all__ = ["RebuildState", "Rebuilder"]

logger = logging.getLogger(__name__)

_CANCEL_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class RebuildState:
    """Where the rebuild of a collection is.

    Args:
        is_asked_for: somebody asked this app for it, and it is not done.
        is_running: a process, this one or another, is at work on it.
        progress: how far it is; None where another process does it, or it has not begun.
        note: what any process can see of it; None where there is nothing.
        problem: why it cannot go on by itself; empty where it can.
        can_go_on: another try would go on with what was done.
        done: what the last rebuild since the start of the app came to, until it is dismissed.
    """

    is_asked_for: bool = False
    is_running: bool = False
    progress: ReindexProgress | None = None
    note: RebuildNote | None = None
    problem: str = ""
    can_go_on: bool = False
    done: ReindexReport | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it goes on without anybody's help."""
        return self.is_running or (self.is_asked_for and not self.problem)

    @property
    def is_stuck(self) -> bool:
        """Whether it was begun and needs somebody to go on with it, or to give it up."""
        return not self.is_busy and (self.is_asked_for or self.note is not None)


class Rebuilder(Background):
    """Rebuilds collections one after the other. Safe between threads.

    Args:
        requests: what was asked for and is not done.
        collections: lends the collections.
        embedder: returns the model of that name, loaded.
    """

    def __init__(
        self,
        requests: RebuildRequests,
        collections: OpenCollections,
        embedder: Callable[[str], Embedder],
    ) -> None:
        super().__init__("rebuilding")
        self._requests = requests
        self._collections = collections
        self._embedder = embedder
        self._at_work = ""
        self._progress: ReindexProgress | None = None
        self._problems: dict[str, str] = {}
        self._done: dict[str, ReindexReport] = {}

    def plan(self, name: str, request: ReindexRequest) -> ReindexReport:
        """Return what a rebuild would do.

        Raises:
            UsageError, ModelError: it cannot be done; the message says why.
        """
        with self._collections.use(name) as collection:
            return plan_reindex(collection, request)

    def begin(self, name: str, request: ReindexRequest) -> None:
        """Have a collection rebuilt in the background.

        Raises:
            CollectionBusyError: it is being rebuilt already.
            UsageError, ModelError: it cannot be done; the message says why.
            StorageError: the request cannot be written down.
        """
        with self._collections.use(name) as collection:
            state = self.state(name)
            if state.is_busy:
                raise CollectionBusyError(
                    f"collection {name!r} is being rebuilt already; wait for that, or cancel it"
                )
            plan_reindex(collection, request)
            self._requests.put(collection.id, request)
        with self._wake:
            self._problems.pop(collection.id, None)
            self._done.pop(collection.id, None)
            self._wake.notify_all()

    def go_on(self, name: str) -> None:
        """Go on with a rebuild that failed, or that another process left unfinished.

        Raises:
            CollectionBusyError, UsageError, ModelError, StorageError: as for ``begin``.
        """
        with self._collections.use(name) as collection:
            asked_for = self._requests.get(collection.id)
        # One that says nothing of vectors goes on with the draft.
        self.begin(name, ReindexRequest() if asked_for is None else asked_for)

    def cancel(self, name: str) -> None:
        """Give a rebuild up, whoever does it, and throw away what was done of it.

        Raises:
            CollectionBusyError: it did not end in time.
        """
        with self._collections.use(name) as collection:
            self._requests.remove(collection.id)
            cancel_rebuild(collection, timeout_s=_CANCEL_PATIENCE_S)
        with self._wake:
            self._problems.pop(collection.id, None)

    def forget(self, collection_id: str) -> None:
        """Forget all about a collection that is being deleted."""
        self._requests.remove(collection_id)
        with self._wake:
            self._problems.pop(collection_id, None)
            self._done.pop(collection_id, None)

    def dismiss(self, name: str) -> None:
        """Leave out of ``state`` what the last rebuild came to."""
        with self._collections.use(name) as collection, self._wake:
            self._done.pop(collection.id, None)

    def state(self, name: str) -> RebuildState:
        """Say where the rebuild of a collection is."""
        with self._collections.use(name) as collection:
            identity, directory = collection.id, collection.directory
            note = read_note(directory)
            has_draft = note is not None and find_draft(directory) is not None
        asked_for = self._requests.get(identity) is not None
        with self._wake:
            is_ours = self._at_work == identity
            progress = self._progress if is_ours else None
            problem = self._problems.get(identity, "")
            done = self._done.get(identity)
        is_running = is_ours or (note is not None and note.is_running)
        if not (problem or is_running or asked_for) and note is not None:
            problem = note.message or "It was stopped before it was done."
        return RebuildState(
            is_asked_for=asked_for,
            is_running=is_running,
            progress=progress,
            note=note,
            problem=problem,
            can_go_on=asked_for or has_draft,
            done=done,
        )

    def _work(self) -> None:
        while (identity := self._next()) is not None:
            problem = ""
            try:
                self._attempt(identity)
            except (IndexerError, ModelError) as error:
                problem = str(error)
            except Exception as error:
                # The boundary of the thread: without it one surprise would end all rebuilding.
                logger.exception("a rebuild failed")
                problem = surprise_text(error)
            with self._wake:
                if problem and self._requests.get(identity) is not None:
                    self._problems[identity] = problem

    def _next(self) -> str | None:
        """Wait for a collection that is to be rebuilt, and return its id; None at the end."""
        with self._wake:
            self._at_work, self._progress = "", None
            while not self._is_closing:
                for identity in self._requests.ids():
                    if identity not in self._problems:
                        self._at_work = identity
                        return identity
                self._wake.wait()
            return None

    def _attempt(self, identity: str) -> None:
        """Rebuild a collection, or forget the request where the collection is gone."""
        try:
            self._rebuild(identity)
        except CollectionNotFoundError:
            self._requests.remove(identity)

    def _rebuild(self, identity: str) -> None:
        request = self._requests.get(identity)
        name = self._collections.name_of(identity)
        if request is None:
            return
        if name is None:
            raise CollectionNotFoundError("the collection was deleted")
        with self._collections.use(name) as collection:
            report = reindex(
                collection,
                request,
                embedder=self._embedder,
                on_progress=self._note_progress,
                should_stop=lambda: self._is_closing or self._requests.get(identity) is None,
            )
            if report.outcome == "stopped" and not self._is_closing:
                cancel_rebuild(collection, timeout_s=0.0)  # given up before it noted that it began
        if report.outcome == "stopped":
            return
        self._requests.remove(identity)
        if report.outcome == "done":
            with self._wake:
                self._done[identity] = report

    def _note_progress(self, progress: ReindexProgress) -> None:
        with self._wake:
            self._progress = progress
