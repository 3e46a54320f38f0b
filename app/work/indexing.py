"""The one thread that indexes: takes jobs from the queue, tells where it is, survives any failure.

Knows nothing of Streamlit. What the pages show is read from ``activity``; what became of a file for
good is in the collection's ledger.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from app.open_collections import OpenCollections
from app.work.activity import Activity, HeldJob, RunningJob
from app.work.background import Background, surprise_text
from app.work.job_queue import Job, JobQueue
from app.work.outcomes import Outcomes
from indexer.embedder import Embedder, ModelError
from indexer.errors import CollectionBusyError, CollectionNotFoundError, IndexerError
from indexer.indexing.index_report import FileOutcome, IndexOptions, IndexProgress
from indexer.indexing.pipeline import index_paths
from indexer.storage.ledger import UNFINISHED

__all__ = ["IndexingWorker"]

logger = logging.getLogger(__name__)

_RETRY_BUSY_S = 2.0
_PATIENCE_S = 30.0


@dataclass(slots=True)
class _Hold:
    reason: str
    retry_at: float | None


class IndexingWorker(Background):
    """Works through a queue of jobs in one thread, oldest first.

    Args:
        queue: the jobs.
        collections: lends the collections.
        embedder: returns the model of that name, loaded.
        options: how files are read.
        tidy_up: takes back what a job that is not wanted any more left unfinished.
    """

    def __init__(
        self,
        queue: JobQueue,
        collections: OpenCollections,
        embedder: Callable[[str], Embedder],
        options: IndexOptions,
        *,
        tidy_up: Callable[[Job], None] = lambda _: None,
    ) -> None:
        super().__init__("indexing")
        self._queue = queue
        self._collections = collections
        self._embedder = embedder
        self._options = options
        self._tidy_up = tidy_up
        self._is_at_work = False
        self._rests = 0
        self._running: RunningJob | None = None
        self._holds: dict[str, _Hold] = {}
        self._outcomes = Outcomes()

    def notify(self) -> None:
        """Look at the queue again: a job was added."""
        with self._wake:
            self._wake.notify_all()

    def activity(self) -> Activity:
        """Say what is going on."""
        with self._wake:
            jobs = [job for job in self._queue.jobs() if not self._is_running(job)]
            holds = dict(self._holds)
            running, finished = self._running, self._outcomes.latest()
            counts = self._outcomes.counts()
        return Activity(
            running=running,
            waiting=tuple(job for job in jobs if job.id not in holds and not job.is_stopped),
            held=tuple(
                HeldJob(job, holds[job.id].reason, holds[job.id].retry_at is not None)
                for job in jobs
                if job.id in holds and not job.is_stopped
            ),
            stopped=tuple(job for job in jobs if job.is_stopped),
            finished=finished,
            counts=counts,
        )

    def stop(self, job: Job) -> None:
        """Pause a job, after the current batch if it is at work; what is done stays done."""
        with self._wake:
            self._queue.mark_stopped(job, True)
            if self._running is not None and self._is_running(job):
                self._running = replace(self._running, is_stopping=True)

    def resume(self, job: Job) -> None:
        """Go on with a job that was stopped or held."""
        with self._wake:
            self._queue.mark_stopped(job, False)
            self._holds.pop(job.id, None)
            self._wake.notify_all()

    def discard(self, job: Job) -> None:
        """Forget a job, after the current batch if it is at work; what is ready stays."""
        with self._wake:
            self._queue.mark_dropped(job)
            self._holds.pop(job.id, None)
            if self._running is not None and self._is_running(job):
                self._running = replace(self._running, is_stopping=True)
            self._wake.notify_all()

    def take_up(self, collection: str) -> None:
        """Queue the files that wait in a collection's ledger, as after a repair."""
        with self._collections.use(collection) as opened:
            rows = opened.ledger.rows(states=UNFINISHED)
        if rows:
            paths = [Path(os.fsdecode(row.path)) for row in rows]
            self._queue.add(collection, paths, kind="files", retries=True)
            self.notify()

    def pause(self, collection: str) -> None:
        """Let all jobs of a collection rest."""
        for job in self._queue.jobs():
            if job.collection == collection:
                self.stop(job)

    def go_on(self, collection: str) -> None:
        """Go on with all jobs of a collection."""
        for job in self._queue.jobs():
            if job.collection == collection:
                self.resume(job)

    def cancel(self, collection: str) -> None:
        """Forget all jobs of a collection; what is ready stays."""
        for job in self._queue.jobs():
            if job.collection == collection:
                self.discard(job)

    def rename(self, collection: str, new_name: str) -> None:
        """Let what is known of a collection be known under its new name; while it rests."""
        with self._wake:
            self._queue.rename(collection, new_name)
            self._outcomes.rename(collection, new_name)

    def forget(self, collection: str) -> None:
        """Forget the jobs of a collection that was deleted, and what became of its files."""
        with self._wake:
            for job in [*self._queue.jobs(), *self._queue.dropped()]:
                if job.collection == collection:
                    self._queue.remove(job)
                    self._holds.pop(job.id, None)
            self._outcomes.forget(collection)

    def forget_finished(self, collection: str) -> None:
        """Leave what is done in a collection out of ``activity`` from now on."""
        with self._wake:
            self._outcomes.forget(collection)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Keep the worker from writing: it ends its batch first, and goes on afterwards.

        Raises:
            CollectionBusyError: the batch takes longer than anybody wants to wait.
        """
        with self._wake:
            self._rests += 1
            is_free = self._wake.wait_for(lambda: not self._is_at_work, timeout=_PATIENCE_S)
        try:
            if not is_free:
                raise CollectionBusyError(
                    f"The batch that is being indexed was not done within {_PATIENCE_S:.0f} s. "
                    "Try again in a moment, or stop indexing first."
                )
            yield
        finally:
            with self._wake:
                self._rests -= 1
                self._wake.notify_all()

    def _is_running(self, job: Job) -> bool:
        return self._running is not None and self._running.job.id == job.id

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                if job.is_dropped:
                    self._tidy(job)
                else:
                    self._run(job)
            except CollectionBusyError as error:
                self._hold(job, str(error), retry=True)
            except (IndexerError, ModelError) as error:
                self._hold(job, str(error), retry=False)
            except Exception as error:
                # The boundary of the thread: without it one surprise would end all indexing.
                logger.exception("indexing of %s failed", job.collection)
                self._hold(job, surprise_text(error), retry=False)

    def _next(self) -> Job | None:
        """Wait for a job that can be done, or that is to be tidied up; None when the app ends."""
        with self._wake:
            self._running = None
            self._is_at_work = False
            self._wake.notify_all()  # those who wait for it to rest
            while not self._is_closing:
                if self._rests:
                    self._wake.wait()
                    continue
                now = time.monotonic()
                job = self._due(now)
                if job is not None:
                    self._is_at_work = True
                    self._running = None if job.is_dropped else RunningJob(job)
                    return job
                self._wake.wait(self._retry_in_s(now))
            return None

    def _due(self, now: float) -> Job | None:
        for job in self._wanted():
            hold = self._holds.get(job.id)
            if hold is None or (hold.retry_at is not None and hold.retry_at <= now):
                return job
        return None

    def _retry_in_s(self, now: float) -> float | None:
        """Return how long it is until a held job is tried again; None where none will be."""
        holds = [self._holds[job.id] for job in self._wanted() if job.id in self._holds]
        retries = [hold.retry_at for hold in holds if hold.retry_at is not None]
        return max(min(retries) - now, 0.05) if retries else None

    def _wanted(self) -> list[Job]:
        """Return the jobs that are to be tidied up or done, in the order of their turns."""
        waiting = [job for job in self._queue.jobs() if not job.is_stopped]
        return [*self._queue.dropped(), *waiting]

    def _tidy(self, job: Job) -> None:
        with suppress(CollectionNotFoundError):  # it is gone with all that was left unfinished
            self._tidy_up(job)
        with self._wake:
            self._queue.remove(job)
            self._holds.pop(job.id, None)

    def _run(self, job: Job) -> None:
        with self._collections.use(job.collection) as collection:
            # One that the user removed meanwhile must not keep the others from being read.
            paths = job.paths if job.kind == "folder" else _existing(job)
            is_interrupted = False
            if paths:
                model = collection.config.model
                report = index_paths(
                    collection,
                    paths,
                    embedder=lambda: self._embedder(model),
                    options=replace(self._options, retry_failed=job.retries),
                    on_progress=self._note_progress,
                    on_outcome=lambda outcome: self._note_outcome(job, outcome),
                    should_stop=self._should_stop,
                )
                is_interrupted = report.interrupted
        with self._wake:
            self._holds.pop(job.id, None)
            if not is_interrupted:
                self._queue.remove(job)  # one that was dropped too late has nothing to tidy up

    def _should_stop(self) -> bool:
        running = self._running
        return self._is_closing or self._rests > 0 or running is None or running.is_stopping

    def _note_progress(self, progress: IndexProgress) -> None:
        with self._wake:
            if self._running is not None:
                self._running = replace(self._running, progress=progress)
                self._holds.pop(self._running.job.id, None)

    def _note_outcome(self, job: Job, outcome: FileOutcome) -> None:
        # The unchanged files of a large folder would push everything else out.
        if job.kind == "folder" and outcome.change == "unchanged":
            return
        with self._wake:
            self._outcomes.note(job.collection, outcome)
            running = self._running
            if running is not None and running.progress is not None:
                left = [file for file in running.progress.at_work if file.source != outcome.source]
                progress = replace(running.progress, at_work=tuple(left))
                self._running = replace(running, progress=progress)

    def _hold(self, job: Job, reason: str, *, retry: bool) -> None:
        with self._wake:
            known = self._queue.dropped() if job.is_dropped else self._queue.jobs()
            if all(other.id != job.id for other in known):
                return  # dropped while at work, or gone with its collection
            retry_at = time.monotonic() + _RETRY_BUSY_S if retry else None
            self._holds[job.id] = _Hold(reason, retry_at)


def _existing(job: Job) -> tuple[Path, ...]:
    return tuple(path for path in job.paths if path.is_file())
