"""What an evaluation found: plain values, and their form in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from indexer.evaluation.metrics import Metric
from indexer.evaluation.significance import Interval

__all__ = [
    "AVERAGE",
    "Baseline",
    "EvaluationReport",
    "Figure",
    "Method",
    "RunResult",
    "SetResult",
    "StepMatrix",
    "StsResult",
    "StsRow",
]

Baseline = Literal["mean", "last", "prompt", "rocchio", "maxsim", "bm25"]
Method = Literal["dense", "lexical", "hybrid", "mean", "last", "prompt", "rocchio", "maxsim"]
AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one run.

    Args:
        mean: over the queries; for the average, over the sets.
        interval: 95 %; None for a single query.
        change: difference from the run it is compared with; None for that one itself.
        p_value: of that difference, paired over queries; None where there is no test to make.
    """

    mean: float
    interval: Interval | None
    change: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """One way of searching, measured on one set or on average.

    Args:
        method: how it searched.
        steps: refinement steps of the queries; None where no model reads them.
        document_steps: refinement steps of the documents.
        figures: by metric.
        ms_per_query: median time from a query's text to its ranking, one query at a time.
        texts_per_second: passages embedded per second at that step count.
    """

    method: Method
    steps: int | None
    document_steps: int | None
    figures: Mapping[Metric, Figure]
    ms_per_query: float | None
    texts_per_second: float | None


@dataclass(frozen=True, slots=True)
class StepMatrix:
    """nDCG@10 of dense search for every pairing of step counts.

    Args:
        query_steps: the rows.
        document_steps: the columns.
        ndcg_at_10: ``[row][column]``.
    """

    query_steps: tuple[int, ...]
    document_steps: tuple[int, ...]
    ndcg_at_10: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class SetResult:
    """All runs over one judged set.

    Args:
        name: of the set, or ``average``.
        split: which judgements.
        documents: how many were searched.
        passages: how many pieces they were embedded and indexed as.
        queries: how many were asked.
        unjudged_queries: left out, as nothing is judged relevant for them.
        empty_documents: left out, as they hold no text.
        truncated_passages: cut at the model's limit.
        runs: in the order of the table.
        matrix: where it was asked for.
    """

    name: str
    split: str
    documents: int
    passages: int
    queries: int
    unjudged_queries: int
    empty_documents: int
    truncated_passages: int
    runs: tuple[RunResult, ...]
    matrix: StepMatrix | None = None


@dataclass(frozen=True, slots=True)
class StsRow:
    """Agreement with people's scores at one step count."""

    steps: int
    spearman: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class StsResult:
    """One file of sentence pairs."""

    name: str
    pairs: int
    rows: tuple[StsRow, ...]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Everything that one evaluation found.

    Args:
        model: its name; None where no model was asked.
        fingerprint: what decides its vectors.
        settings: how it was measured.
        sets: the judged sets, in the order given.
        average: over the sets, each weighing the same; None for a single one.
        sts: the files of sentence pairs.
        notes: what a reader of the figures should know.
        versions: of the packages that measured.
        seconds: how long it took.
    """

    model: str | None
    fingerprint: Mapping[str, str]
    settings: Mapping[str, object]
    sets: tuple[SetResult, ...]
    average: SetResult | None
    sts: tuple[StsResult, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return it in plain lists and objects, every figure included."""
        return asdict(self)
