"""From scores per query to a table: means, intervals, changes, and averages over sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from indexer.evaluation.evaluator import MeasuredRun
from indexer.evaluation.metrics import METRICS, Metric
from indexer.evaluation.results import Figure, RunResult, StepMatrix
from indexer.evaluation.significance import mean_intervals, paired_p_value

__all__ = ["average_matrix", "average_runs", "set_runs"]

Key = tuple[str, int | None, int | None]


def set_runs(runs: Sequence[MeasuredRun]) -> tuple[RunResult, ...]:
    """Return the figures of the runs over one set."""
    return tuple(
        RunResult(
            method=run.method,
            steps=run.steps,
            document_steps=run.document_steps,
            figures=_figures(run, _reference(run, runs)),
            ms_per_query=run.ms_per_query,
            texts_per_second=run.texts_per_second,
        )
        for run in runs
    )


def average_runs(
    sets: Sequence[Sequence[MeasuredRun]], passages: Sequence[int]
) -> tuple[RunResult, ...]:
    """Return the figures of each run averaged over the sets, each set weighing the same.

    Args:
        sets: the runs over each set.
        passages: how many passages each set was embedded as.
    """
    by_key: list[Mapping[Key, MeasuredRun]] = [{_key(run): run for run in runs} for runs in sets]
    results = []
    for run in sets[0]:
        same = [runs[_key(run)] for runs in by_key]
        reference = _reference(run, sets[0])
        compared = None if reference is None else [runs[_key(reference)] for runs in by_key]
        results.append(
            RunResult(
                method=run.method,
                steps=run.steps,
                document_steps=run.document_steps,
                figures=_average_figures(same, compared),
                ms_per_query=fmean(run.ms_per_query for run in same),
                texts_per_second=_throughput(same, passages),
            )
        )
    return tuple(results)


def average_matrix(matrices: Sequence[StepMatrix]) -> StepMatrix:
    """Return the mean over sets of every pairing of step counts."""
    mean = np.mean([matrix.ndcg_at_10 for matrix in matrices], axis=0)
    first = matrices[0]
    return StepMatrix(first.query_steps, first.document_steps, tuple(map(tuple, mean.tolist())))


def _key(run: MeasuredRun) -> Key:
    return run.method, run.steps, run.document_steps


def _reference(run: MeasuredRun, runs: Sequence[MeasuredRun]) -> MeasuredRun | None:
    """Return what a run is compared with: the fewest steps of its method, else of dense search."""
    method = run.method if run.steps is not None else "dense"
    first = next((other for other in runs if other.method == method), None)
    return None if first is run else first


def _figures(run: MeasuredRun, reference: MeasuredRun | None) -> dict[Metric, Figure]:
    intervals = mean_intervals([np.stack([run.scores.values[metric] for metric in METRICS])])
    figures: dict[Metric, Figure] = {}
    for metric, interval in zip(METRICS, intervals, strict=True):
        mean = run.scores.mean(metric)
        if reference is None:
            figures[metric] = Figure(mean, interval)
            continue
        values, others = run.scores.values[metric], reference.scores.values[metric]
        change = mean - reference.scores.mean(metric)
        figures[metric] = Figure(mean, interval, change, paired_p_value(values, others))
    return figures


def _average_figures(
    runs: Sequence[MeasuredRun], references: Sequence[MeasuredRun] | None
) -> dict[Metric, Figure]:
    # No test: five sets are no sample of all sets, and their queries are not one population.
    samples = [np.stack([run.scores.values[metric] for metric in METRICS]) for run in runs]
    figures: dict[Metric, Figure] = {}
    for metric, interval in zip(METRICS, mean_intervals(samples), strict=True):
        mean = fmean(run.scores.mean(metric) for run in runs)
        change = None
        if references is not None:
            change = mean - fmean(run.scores.mean(metric) for run in references)
        figures[metric] = Figure(mean, interval, change)
    return figures


def _throughput(runs: Sequence[MeasuredRun], passages: Sequence[int]) -> float | None:
    rates = [run.texts_per_second for run in runs]
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates):
        return None
    seconds = sum(count / rate for count, rate in zip(passages, known, strict=True))
    return sum(passages) / seconds
