"""The work that was asked for and is not done: one small file per request, so that none is lost."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from indexer.storage.segments import disk_errors

__all__ = ["Job", "JobKind", "JobQueue"]

logger = logging.getLogger(__name__)

JobKind = Literal["files", "folder"]


@dataclass(frozen=True, slots=True)
class Job:
    """A request to index something.

    Args:
        id: names the job; ids sort in the order in which they were made.
        collection: where to.
        kind: ``"files"`` that are listed one by one, or a ``"folder"`` with all that is below it.
        paths: absolute paths.
        is_stopped: the user paused it; it waits to be continued.
        is_dropped: the user does not want it any more; what it left unfinished is to be tidied up.
        retries: whether files that failed before are read again.
    """

    id: str
    collection: str
    kind: JobKind
    paths: tuple[Path, ...]
    is_stopped: bool = False
    retries: bool = False
    is_dropped: bool = False


class JobQueue:
    """Jobs in the order they came, on disk and in memory. Safe between threads.

    Args:
        directory: holds one JSON file per job; made when needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._jobs = {job.id: job for job in _load_all(directory)}

    def jobs(self) -> list[Job]:
        """Return all jobs that are not done and still wanted, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if not job.is_dropped]

    def dropped(self) -> list[Job]:
        """Return the jobs that are not wanted any more, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if job.is_dropped]

    def add(
        self, collection: str, paths: Sequence[Path], *, kind: JobKind, retries: bool = False
    ) -> Job:
        """Note a job; when this returns, a kill does not lose it.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        job_id = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        job = Job(job_id, collection, kind, tuple(paths), retries=retries)
        with self._lock:
            self._save(job)
        return job

    def mark_stopped(self, job: Job, is_stopped: bool) -> None:
        """Note that a job is to wait, or to go on; one that is gone stays so."""
        self._change(job.id, is_stopped=is_stopped)

    def mark_dropped(self, job: Job) -> None:
        """Note that a job is not wanted any more; ``remove`` forgets it."""
        self._change(job.id, is_dropped=True)

    def rename(self, collection: str, new_name: str) -> None:
        """Let the jobs of a collection be for its new name."""
        for job in [*self.jobs(), *self.dropped()]:
            if job.collection == collection:
                self._change(job.id, collection=new_name)

    def remove(self, job: Job) -> None:
        """Forget a job: it is done, or not wanted any more."""
        with self._lock, disk_errors(self._path(job.id), needed=0):
            self._jobs.pop(job.id, None)
            self._path(job.id).unlink(missing_ok=True)

    def _change(self, job_id: str, **values: object) -> None:
        """Note something of a job as it is now, which may be other than a caller saw it."""
        with self._lock:
            known = self._jobs.get(job_id)
            if known is not None:
                self._save(replace(known, **values))  # type: ignore[arg-type]

    def _save(self, job: Job) -> None:
        path = self._path(job.id)
        text = json.dumps(
            {
                "collection": job.collection,
                "kind": job.kind,
                "paths": [str(path) for path in job.paths],  # JSON escapes what is not UTF-8
                "is_stopped": job.is_stopped,
                "retries": job.retries,
                "is_dropped": job.is_dropped,
            }
        )
        with disk_errors(path, needed=len(text)):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            with draft.open("w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            self._jobs[job.id] = job

    def _path(self, job_id: str) -> Path:
        return self._directory / f"{job_id}.json"


def _load_all(directory: Path) -> list[Job]:
    jobs = []
    for path in sorted(directory.glob("*.json")):
        try:
            jobs.append(_job(path.stem, json.loads(path.read_text(encoding="ascii"))))
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s cannot be read as a job (%s); it is left aside.", path, error)
    return jobs


def _job(job_id: str, values: dict[str, object]) -> Job:
    kind, paths = values["kind"], values["paths"]
    if kind not in ("files", "folder") or not isinstance(paths, list):
        raise ValueError(f"kind {kind!r} with paths {paths!r}")
    return Job(
        id=job_id,
        collection=str(values["collection"]),
        kind=kind,
        paths=tuple(Path(path) for path in paths),
        is_stopped=values["is_stopped"] is True,
        retries=values["retries"] is True,
        is_dropped=values.get("is_dropped") is True,  # absent in files of earlier versions
    )
