"""The tables of an evaluation, as rows of text; where they are printed is the caller's affair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.evaluation.results import (
    EvaluationReport,
    Figure,
    RunResult,
    SetResult,
    StepMatrix,
    StsResult,
)

__all__ = ["SIGNIFICANT", "Table", "tables"]

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Args:
        title: what it is of.
        header: the labels of the columns; all but the first are figures, aligned to the right.
        rows: the cells.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: EvaluationReport) -> list[Table]:
    """Return one table per set, one of sentence pairs each, the matrices, and the summary."""
    made = [_set_table(result) for result in report.sets]
    made += [_sts_table(result) for result in report.sts]
    summarised = [*report.sets, *([report.average] if report.average is not None else [])]
    made += [_matrix_table(result.name, result.matrix) for result in summarised if result.matrix]
    if report.average is not None:
        made.append(_set_table(report.average))
        made.append(_summary_table(report.sets, report.average))
    return made


def _set_table(result: SetResult) -> Table:
    cut = f", {result.truncated_passages:,} cut at the model's limit"
    pieces = f" in {result.passages:,} passages" if result.passages != result.documents else ""
    return Table(
        title=(
            f"{result.name}: {result.documents:,} documents{pieces}, {result.queries:,} queries"
            f"{cut if result.truncated_passages else ''}"
        ),
        header=(
            "method",
            "steps",
            "nDCG@10",
            "95 %",
            "change",
            "p",
            "recall@100",
            "MRR@10",
            "ms/query",
            "texts/s",
        ),
        rows=tuple(map(_run_row, result.runs)),
    )


def _run_row(run: RunResult) -> tuple[str, ...]:
    ndcg = run.figures["ndcg@10"]
    return (
        run.method,
        _steps(run),
        f"{ndcg.mean:.4f}",
        "" if ndcg.interval is None else f"{ndcg.interval.low:.3f}-{ndcg.interval.high:.3f}",
        "" if ndcg.change is None else f"{ndcg.change:+.4f}",
        _p_value(ndcg),
        f"{run.figures['recall@100'].mean:.4f}",
        f"{run.figures['mrr@10'].mean:.4f}",
        "" if run.ms_per_query is None else f"{run.ms_per_query:.1f}",
        "" if run.texts_per_second is None else f"{run.texts_per_second:.0f}",
    )


def _summary_table(sets: Sequence[SetResult], average: SetResult) -> Table:
    """NDCG@10 of every run, a column per set; an asterisk where it differs significantly."""
    rows = []
    for place, run in enumerate(average.runs):
        cells = [
            f"{figure.mean:.4f}{_mark(figure)}"
            for figure in (result.runs[place].figures["ndcg@10"] for result in sets)
        ]
        ndcg = run.figures["ndcg@10"]
        change = "" if ndcg.change is None else f"{ndcg.change:+.4f}"
        rows.append((run.method, _steps(run), *cells, f"{ndcg.mean:.4f} ", change))
    names = [f"{result.name} " for result in sets]
    return Table(
        title=f"nDCG@10 (* p < {SIGNIFICANT} against the fewest steps, paired over queries)",
        header=("method", "steps", *names, "average ", "change"),
        rows=tuple(rows),
    )


def _matrix_table(name: str, matrix: StepMatrix) -> Table:
    return Table(
        title=f"{name}: nDCG@10 of queries (rows) and documents (columns) at other step counts",
        header=("query steps", *map(str, matrix.document_steps)),
        rows=tuple(
            (str(step), *(f"{value:.4f}" for value in values))
            for step, values in zip(matrix.query_steps, matrix.ndcg_at_10, strict=True)
        ),
    )


def _sts_table(result: StsResult) -> Table:
    return Table(
        title=f"{result.name}: {result.pairs:,} pairs of sentences",
        header=("steps", "Spearman", "95 %"),
        rows=tuple(
            (
                str(row.steps),
                f"{row.spearman:.4f}",
                "" if row.interval is None else f"{row.interval.low:.3f}-{row.interval.high:.3f}",
            )
            for row in result.rows
        ),
    )


def _steps(run: RunResult) -> str:
    if run.steps is None:
        return ""
    if run.document_steps in (None, run.steps):
        return str(run.steps)
    return f"{run.steps}/{run.document_steps}"


def _p_value(figure: Figure) -> str:
    if figure.p_value is None:
        return ""
    return "<0.0001" if figure.p_value < 0.0001 else f"{figure.p_value:.4f}"


def _mark(figure: Figure) -> str:
    return "*" if figure.p_value is not None and figure.p_value < SIGNIFICANT else " "
