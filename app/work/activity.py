"""What the indexing worker does at one moment, as plain values for the pages to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.work.job_queue import Job
from indexer.indexing.index_report import FileOutcome, IndexProgress
from indexer.storage.ledger import FileState

__all__ = ["Activity", "Finished", "HeldJob", "RunningJob", "share_done", "time_left_s"]

_SETTLING_S = 2.0


@dataclass(frozen=True, slots=True)
class RunningJob:
    """The job at hand.

    Args:
        job: what it is.
        progress: where it is; None until the first files are found.
        is_stopping: it was told to stop and does so after the current batch.
    """

    job: Job
    progress: IndexProgress | None = None
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that cannot go on by itself.

    Args:
        job: what it is.
        reason: why, with what to do.
        is_retried: it is tried again soon without anybody's help.
    """

    job: Job
    reason: str
    is_retried: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of one file since the app was started."""

    collection: str
    outcome: FileOutcome


@dataclass(frozen=True, slots=True)
class Activity:
    """What the worker does, at one moment.

    Args:
        running: the job at hand.
        waiting: jobs whose turn will come.
        held: jobs that cannot go on by themselves.
        stopped: jobs that the user paused.
        finished: files that a run has dealt with, latest first.
        counts: how many files came to each state, by collection and state.
        ahead: a job of another collection, whose end is waited for.
    """

    running: RunningJob | None = None
    waiting: tuple[Job, ...] = ()
    held: tuple[HeldJob, ...] = ()
    stopped: tuple[Job, ...] = ()
    finished: tuple[Finished, ...] = ()
    counts: Mapping[tuple[str, FileState], int] = field(default_factory=dict)
    ahead: RunningJob | None = None

    def of(self, collection: str) -> Activity:
        """Return only what concerns one collection."""
        running = self.running
        is_ours = running is not None and running.job.collection == collection
        return Activity(
            running=running if is_ours else None,
            waiting=tuple(job for job in self.waiting if job.collection == collection),
            held=tuple(held for held in self.held if held.job.collection == collection),
            stopped=tuple(job for job in self.stopped if job.collection == collection),
            finished=tuple(file for file in self.finished if file.collection == collection),
            counts={key: count for key, count in self.counts.items() if key[0] == collection},
            ahead=None if is_ours else running,
        )

    @property
    def is_busy(self) -> bool:
        """Whether something is going on, or will without anybody's help."""
        return bool(self.running or self.waiting or any(held.is_retried for held in self.held))


def share_done(progress: IndexProgress) -> float:
    """Return how much of a run is done, 0 to 1; files that are partly embedded count in part."""
    if not progress.files_total:
        return 0.0
    return min((progress.files_done + _partly(progress)) / progress.files_total, 1.0)


def time_left_s(progress: IndexProgress) -> float | None:
    """Return how long a run is expected to take still; None while that cannot be said."""
    worked = progress.files_done - progress.files_unchanged + _partly(progress)
    if progress.phase != "indexing" or worked < 1 or progress.seconds < _SETTLING_S:
        return None
    left = progress.files_total - progress.files_done - _partly(progress)
    return max(left, 0.0) * progress.seconds / worked


def _partly(progress: IndexProgress) -> float:
    return sum(file.done / file.total for file in progress.at_work if file.total)
