"""Evaluations in the background: one at a time, with progress, and stopped when asked to.

Knows neither pages nor what is measured; ``app.quality.measuring`` says what an evaluation does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, Protocol

from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.evaluation.curve import QualityCurve
from indexer.evaluation.study import EvaluationProgress
from indexer.evaluation.tuning import StepOutcome
from indexer.searching.fusion import DenseWeight

__all__ = [
    "EvaluationStatus",
    "Evaluations",
    "KeptMeasurements",
    "Measure",
    "Measured",
    "OnProgress",
    "Subject",
]

logger = logging.getLogger(__name__)

OnProgress = Callable[[EvaluationProgress], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: judged queries, in view of one collection.

    Args:
        collection: whose documents, or at least whose model.
        collection_id: what it is known by whatever it is called.
        judged_by: name of a judged set; empty for what users said of the collection's hits.
        split: which of its judgements.
    """

    collection: str = field(compare=False)
    collection_id: str
    judged_by: str = ""
    split: str = "test"


@dataclass(frozen=True, slots=True)
class Measured:
    """What an evaluation found.

    Args:
        curve: quality against steps and time.
        content: the collection's content that it holds for.
        dense_weight: how meaning and words were fused; None as by the program's default.
        outcomes: what other weights would give, by steps; empty where queries are too few.
        notes: what the reader should know.
        at: when it ended, seconds since the epoch.
    """

    curve: QualityCurve
    content: str
    dense_weight: DenseWeight | None = None
    outcomes: Mapping[int, StepOutcome] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    at: float = field(default_factory=time.time)


Measure = Callable[[Subject, OnProgress], Measured]


@dataclass(frozen=True, slots=True)
class EvaluationStatus:
    """Where an evaluation is.

    Args:
        state: how far it is; a cancelled one is ``"idle"`` again.
        progress: what it is doing, while it runs.
        seconds: for how long it has been running.
        problem: why it failed, with what to do.
        measured: what the last one found, also while another runs.
    """

    state: Literal["idle", "waiting", "running", "stopping", "failed"]
    progress: EvaluationProgress | None = None
    seconds: float = 0.0
    problem: str = ""
    measured: Measured | None = None

    @property
    def is_busy(self) -> bool:
        """Whether one is going on, or will."""
        return self.state in ("waiting", "running", "stopping")


class KeptMeasurements(Protocol):
    """Remembers what was found."""

    def read(self, subject: Subject) -> Measured | None:
        """Return what was found last; None where nothing was."""

    def write(self, subject: Subject, measured: Measured) -> None:
        """Keep what was found."""


class _CancelledError(Exception):
    """Ends an evaluation from inside."""


@dataclass(slots=True)
class _Run:
    cancelled: threading.Event = field(default_factory=threading.Event)
    started: float | None = None
    progress: EvaluationProgress | None = None
    problem: str = ""
    is_over: bool = False


class Evaluations:
    """All evaluations of the running app. Safe between threads.

    Args:
        measure: does one; tells how far it is after every few texts.
        kept: what was found by an earlier run of the app, and where that of this one goes.
    """

    def __init__(self, measure: Measure, kept: KeptMeasurements) -> None:
        self._measure = measure
        self._kept = kept
        self._lock = threading.Lock()
        self._runs: dict[Subject, _Run] = {}
        self._measured: dict[Subject, Measured | None] = {}
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluation")

    def start(self, subject: Subject) -> None:
        """Queue an evaluation, unless it is going on already."""
        with self._lock:
            known = self._runs.get(subject)
            if known is not None and not known.is_over:
                return
            run = self._runs[subject] = _Run()
        self._threads.submit(self._work, subject, run)

    def cancel(self, subject: Subject) -> None:
        """Have an evaluation stop after the texts at hand."""
        with self._lock:
            run = self._runs.get(subject)
        if run is not None:
            run.cancelled.set()

    def status(self, subject: Subject) -> EvaluationStatus:
        """Say where an evaluation is, and what the last one found."""
        with self._lock:
            if subject not in self._measured:
                self._measured[subject] = self._kept.read(subject)
            run, measured = self._runs.get(subject), self._measured[subject]
        if run is None:
            return EvaluationStatus("idle", measured=measured)
        if run.is_over:
            state: Literal["failed", "idle"] = "failed" if run.problem else "idle"
            return EvaluationStatus(state, problem=run.problem, measured=measured)
        if run.cancelled.is_set():
            return EvaluationStatus("stopping", progress=run.progress, measured=measured)
        if run.started is None:
            return EvaluationStatus("waiting", measured=measured)
        seconds = time.monotonic() - run.started
        return EvaluationStatus("running", run.progress, seconds, measured=measured)

    def close(self) -> None:
        """Cancel everything; what is at hand ends with its current texts."""
        with self._lock:
            for run in self._runs.values():
                run.cancelled.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work(self, subject: Subject, run: _Run) -> None:
        def on_progress(progress: EvaluationProgress) -> None:
            if run.cancelled.is_set():
                raise _CancelledError
            run.progress = progress

        run.started = time.monotonic()
        try:
            if run.cancelled.is_set():
                return
            measured = self._measure(subject, on_progress)
            with self._lock:
                self._measured[subject] = measured
            self._kept.write(subject, measured)
        except _CancelledError:
            pass
        except (IndexerError, ModelError) as error:
            run.problem = str(error)
        except Exception as error:  # a thread's error would otherwise be lost
            logger.exception("An evaluation of %s failed", subject)
            run.problem = f"The evaluation failed: {type(error).__name__}: {error}"
        finally:
            run.is_over = True
