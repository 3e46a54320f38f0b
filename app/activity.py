"""What the indexing worker does at one moment, as plain values for the pages to show."""

from __future__ import annotations

from dataclasses import dataclass

from app.job_queue import Job
from indexer.index_report import FileOutcome, IndexProgress

__all__ = ["Activity", "Finished", "HeldJob", "RunningJob", "time_left_s"]

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
        stopped: jobs that the user stopped.
        finished: files that a run has dealt with, latest first.
    """

    running: RunningJob | None = None
    waiting: tuple[Job, ...] = ()
    held: tuple[HeldJob, ...] = ()
    stopped: tuple[Job, ...] = ()
    finished: tuple[Finished, ...] = ()

    def of(self, collection: str) -> Activity:
        """Return only what concerns one collection."""
        running = (
            self.running if self.running and self.running.job.collection == collection else None
        )
        return Activity(
            running=running,
            waiting=tuple(job for job in self.waiting if job.collection == collection),
            held=tuple(held for held in self.held if held.job.collection == collection),
            stopped=tuple(job for job in self.stopped if job.collection == collection),
            finished=tuple(file for file in self.finished if file.collection == collection),
        )

    @property
    def is_busy(self) -> bool:
        """Whether something is going on, or will without anybody's help."""
        return bool(self.running or self.waiting or any(held.is_retried for held in self.held))


def time_left_s(progress: IndexProgress) -> float | None:
    """Return how long a run is expected to take still; None while that cannot be said."""
    worked = progress.files_done - progress.files_unchanged
    if progress.phase != "indexing" or worked < 1 or progress.seconds < _SETTLING_S:
        return None
    return (progress.files_total - progress.files_done) * progress.seconds / worked
