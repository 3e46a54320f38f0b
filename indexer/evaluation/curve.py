"""Quality against the dial: what each step count of queries gives, and what it takes.

Knows judged and searched queries; where they come from is ``indexer.evaluation.tuning_sets``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from indexer.evaluation.metrics import Metric, QueryScores
from indexer.evaluation.results import Figure
from indexer.evaluation.significance import mean_intervals, paired_p_value
from indexer.evaluation.tuning import JudgedLegs, knee
from indexer.searching.fusion import AUTOMATIC, DenseWeight

__all__ = ["CURVE_METRICS", "CurvePoint", "QualityCurve", "Ranking", "quality_curve"]

CURVE_METRICS: tuple[Metric, ...] = ("ndcg@10", "recall@10", "recall@100", "mrr@10")

Ranking = Literal["hybrid", "dense"]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One step count.

    Args:
        steps: refinement steps of the queries.
        latency_ms: median time of one search.
        figures: by metric, compared with the fewest steps.
    """

    steps: int
    latency_ms: float
    figures: Mapping[Metric, Figure]


@dataclass(frozen=True, slots=True)
class QualityCurve:
    """What judged queries say of the dial.

    Args:
        name: what was searched.
        queries: how many judged queries.
        hybrid: by meaning and words, as a search fuses them; by rising steps.
        dense: by meaning alone.
        words: by words alone, where steps do not matter.
    """

    name: str
    queries: int
    hybrid: tuple[CurvePoint, ...]
    dense: tuple[CurvePoint, ...]
    words: Mapping[Metric, Figure]

    def points(self, ranking: Ranking) -> tuple[CurvePoint, ...]:
        """Return the points of one way of searching."""
        return self.hybrid if ranking == "hybrid" else self.dense

    def knee(self, ranking: Ranking) -> CurvePoint:
        """Return the fewest steps whose nDCG@10 comes within 0.1 point of the best."""
        points = self.points(ranking)
        steps = knee({one.steps: one.figures["ndcg@10"].mean for one in points})
        return next(one for one in points if one.steps == steps)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        knees = {"hybrid": self.knee("hybrid").steps, "dense": self.knee("dense").steps}
        return {**asdict(self), "knee_steps": knees}


def quality_curve(judged: JudgedLegs, *, dense_weight: DenseWeight | None) -> QualityCurve:
    """Measure every step count that judged queries were searched at.

    Args:
        judged: the queries, searched.
        dense_weight: how a search fuses them; None as one that is told nothing.
    """
    steps = sorted(judged.legs)
    words = judged.scores(steps[0], 0.0)
    return QualityCurve(
        name=judged.name,
        queries=len(judged.qrels),
        hybrid=_points(judged, steps, AUTOMATIC if dense_weight is None else dense_weight),
        dense=_points(judged, steps, 1.0),
        words=_figures(words, None),
    )


def _points(
    judged: JudgedLegs, steps: Sequence[int], weight: DenseWeight
) -> tuple[CurvePoint, ...]:
    scores = {count: judged.scores(count, weight) for count in steps}
    first = scores[steps[0]]
    return tuple(
        CurvePoint(
            steps=count,
            latency_ms=judged.latency_ms[count],
            figures=_figures(scores[count], None if count == steps[0] else first),
        )
        for count in steps
    )


def _figures(scores: QueryScores, reference: QueryScores | None) -> dict[Metric, Figure]:
    intervals = mean_intervals([np.stack([scores.values[metric] for metric in CURVE_METRICS])])
    figures: dict[Metric, Figure] = {}
    for metric, interval in zip(CURVE_METRICS, intervals, strict=True):
        mean = scores.mean(metric)
        if reference is None:
            figures[metric] = Figure(mean, interval)
            continue
        change = mean - reference.mean(metric)
        p_value = paired_p_value(scores.values[metric], reference.values[metric])
        figures[metric] = Figure(mean, interval, change, p_value)
    return figures
