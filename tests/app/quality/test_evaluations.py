"""Evaluations in the background: one at a time, with progress, stopped when asked to."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.quality.evaluations import Evaluations, Measured, OnProgress, Subject
from app.quality.measurements import MeasurementFolder
from indexer.errors import UsageError
from indexer.evaluation.study import EvaluationProgress
from tests.app.waiting import wait_until
from tests.indexer.evaluation.test_curve import judged, quality_curve

WORK, HOME = Subject("work", "id-1"), Subject("home", "id-2")


class Gated:
    """Measures in ten parts, each of which waits until the test lets it go on."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.failure: Exception | None = None
        self.runs = 0

    def __call__(self, subject: Subject, on_progress: OnProgress) -> Measured:
        self.runs += 1
        for done in range(10):
            on_progress(EvaluationProgress(f"{subject.collection}: searching", done, 10))
            assert self.gate.acquire(timeout=60)
            if self.failure is not None:
                raise self.failure
        return Measured(quality_curve(judged({0: 2, 1: 1}), dense_weight=None), "content")

    def let_go(self, parts: int = 10) -> None:
        for _ in range(parts):
            self.gate.release()


@pytest.fixture
def gated():
    return Gated()


@pytest.fixture
def evaluations(gated: Gated, tmp_path: Path):
    made = Evaluations(gated, MeasurementFolder(tmp_path / "quality"))
    yield made
    made.close()
    gated.let_go(100)


def test_one_goes_from_idle_to_measured(gated: Gated, evaluations: Evaluations) -> None:
    assert evaluations.status(WORK).state == "idle"
    evaluations.start(WORK)
    wait_until(lambda: evaluations.status(WORK).progress is not None)
    evaluations.start(WORK)  # it is going on: nothing is begun again
    gated.let_go(3)
    wait_until(lambda: evaluations.status(WORK).progress.done == 3)
    status = evaluations.status(WORK)
    assert (status.state, status.is_busy, status.measured) == ("running", True, None)
    gated.let_go(7)
    wait_until(lambda: not evaluations.status(WORK).is_busy)
    assert evaluations.status(WORK).measured.curve.knee("dense").steps == 1
    assert gated.runs == 1


def test_a_second_one_waits_for_the_first(gated: Gated, evaluations: Evaluations) -> None:
    evaluations.start(WORK)
    evaluations.start(HOME)
    wait_until(lambda: evaluations.status(WORK).state == "running")
    assert evaluations.status(HOME).state == "waiting"
    gated.let_go(20)
    wait_until(lambda: evaluations.status(HOME).measured is not None)


def test_a_cancelled_one_stops_and_keeps_what_was_found_before(
    gated: Gated, evaluations: Evaluations
) -> None:
    evaluations.start(WORK)
    gated.let_go()
    wait_until(lambda: evaluations.status(WORK).measured is not None)
    evaluations.start(WORK)
    wait_until(lambda: evaluations.status(WORK).progress is not None)
    evaluations.cancel(WORK)
    assert evaluations.status(WORK).state == "stopping"
    gated.let_go(1)
    wait_until(lambda: not evaluations.status(WORK).is_busy)
    status = evaluations.status(WORK)
    assert (status.state, status.problem) == ("idle", "")
    assert status.measured is not None
    evaluations.cancel(HOME)  # nobody began it: nothing happens


@pytest.mark.parametrize(
    ("failure", "words"),
    [(UsageError("no judged set"), "no judged set"), (RuntimeError("odd"), "RuntimeError: odd")],
)
def test_one_that_fails_says_why_and_can_be_begun_again(
    gated: Gated, evaluations: Evaluations, failure: Exception, words: str
) -> None:
    gated.failure = failure
    evaluations.start(WORK)
    gated.let_go(1)
    wait_until(lambda: evaluations.status(WORK).state == "failed")
    assert words in evaluations.status(WORK).problem
    gated.failure = None
    evaluations.start(WORK)
    gated.let_go()
    wait_until(lambda: evaluations.status(WORK).measured is not None)
    assert evaluations.status(WORK).state == "idle"


def test_what_was_found_is_there_when_the_app_starts_again(
    gated: Gated, evaluations: Evaluations, tmp_path: Path
) -> None:
    evaluations.start(WORK)
    gated.let_go()
    wait_until(lambda: not evaluations.status(WORK).is_busy)
    found = evaluations.status(WORK).measured
    again = Evaluations(gated, MeasurementFolder(tmp_path / "quality"))
    assert again.status(WORK).measured == found
    assert again.status(HOME).measured is None
    assert again.status(Subject("work", "id-1", "faq")).measured is None
    assert again.status(Subject("work", "id-3")).measured is None  # another of that name
    assert again.status(Subject("renamed", "id-1")).measured == found
    (file,) = (tmp_path / "quality").glob("*/*.json")
    file.write_text(file.read_text()[:-20])
    broken = Evaluations(gated, MeasurementFolder(tmp_path / "quality"))
    assert broken.status(WORK).measured is None  # it can be measured again


def test_what_was_found_of_a_deleted_collection_goes(
    gated: Gated, evaluations: Evaluations, tmp_path: Path
) -> None:
    for subject in (WORK, HOME):
        evaluations.start(subject)
        gated.let_go()
        wait_until(lambda subject=subject: not evaluations.status(subject).is_busy)
    kept = MeasurementFolder(tmp_path / "quality")
    kept.forget("id-1")
    kept.forget("no-such-id")
    assert (kept.read(WORK), kept.read(HOME) is None) == (None, False)
    assert len(list((tmp_path / "quality").iterdir())) == 1
