from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from app.work.job_queue import JobQueue


def test_jobs_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs")
    odd = Path(os.fsdecode(b"/data/\xff\n.txt"))
    first = queue.add("notes", [odd, Path("/data/b.txt")], kind="files", retries=True)
    second = queue.add("work", [Path("/data")], kind="folder")
    queue.mark_stopped(second, True)

    again = JobQueue(tmp_path / "jobs")
    assert [job.id for job in again.jobs()] == [first.id, second.id]
    assert again.jobs()[0] == first
    assert again.jobs()[0].paths[0] == odd
    assert again.jobs()[1].is_stopped


def test_a_job_that_is_removed_does_not_come_back(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs")
    job = queue.add("notes", [Path("/a")], kind="files")
    queue.remove(job)
    queue.remove(job)
    assert queue.jobs() == []
    assert JobQueue(tmp_path / "jobs").jobs() == []


def test_a_job_that_is_gone_is_not_brought_back_by_who_still_sees_it(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs")
    job = queue.add("notes", [Path("/a")], kind="files")
    queue.remove(job)
    queue.mark_stopped(job, True)
    queue.mark_dropped(job)
    assert queue.jobs() == queue.dropped() == []
    assert JobQueue(tmp_path / "jobs").jobs() == []


def test_a_job_keeps_what_became_of_it_since_somebody_saw_it(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs")
    seen = queue.add("notes", [Path("/a")], kind="files")
    queue.rename("notes", "papers")
    queue.mark_stopped(seen, True)
    (stopped,) = queue.jobs()
    assert (stopped.collection, stopped.is_stopped) == ("papers", True)
    queue.mark_dropped(seen)
    queue.mark_stopped(seen, False)
    assert queue.jobs() == []
    (dropped,) = JobQueue(tmp_path / "jobs").dropped()
    assert dropped.collection == "papers"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "rm", "paths": [], "retries": 1}'])
def test_a_damaged_job_is_named_in_the_log_and_left_aside(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = JobQueue(tmp_path / "jobs")
    job = queue.add("notes", [Path("/a")], kind="files")
    (tmp_path / "jobs" / "0.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        assert JobQueue(tmp_path / "jobs").jobs() == [job]
    assert "0.json" in caplog.text
