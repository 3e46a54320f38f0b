"""nDCG@10, recall and MRR@10 of rankings, query by query, as trec_eval computes them.

Knows ids only: judgements and rankings in, one number per query and metric out. Ours, and compared
with trec_eval by the tests: its bindings lack wheels for some platforms, and measuring is part of
the app.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["METRICS", "RANKING_DEPTH", "Metric", "QueryScores", "score_rankings"]

Metric = Literal["ndcg@10", "recall@10", "recall@100", "mrr@10"]
METRICS: tuple[Metric, ...] = ("ndcg@10", "recall@100", "mrr@10")
"""Those that are reported of sets; ``recall@10`` says more of a few dozen documents."""

RANKING_DEPTH = 100
"""How many documents of a ranking count: no metric here looks further."""


@dataclass(frozen=True, slots=True)
class QueryScores:
    """Metrics of one run, query by query.

    Args:
        query_ids: Q ids, in the order of the judgements.
        values: for each metric (Q,) float64 between 0 and 1.
    """

    query_ids: tuple[str, ...]
    values: Mapping[Metric, NDArray[np.float64]]

    def mean(self, metric: Metric) -> float:
        """Return the mean over the queries, each weighing the same."""
        return float(self.values[metric].mean())


def score_rankings(
    qrels: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Sequence[str]]
) -> QueryScores:
    """Return the metrics of every judged query.

    Args:
        qrels: for each query the grade of each judged document; above 0 is relevant, grades count
            as gains in nDCG.
        rankings: for each query the ids of documents, best first, none twice; a query that is
            missing, or has an empty ranking, scores 0.
    """
    return QueryScores(
        tuple(qrels),
        {
            metric: np.array(
                [score(grades, rankings.get(query, ())) for query, grades in qrels.items()],
                dtype=np.float64,
            )  # (Q,)
            for metric, score in _SCORES.items()
        },
    )


def _ndcg(grades: Mapping[str, int], ranking: Sequence[str], depth: int) -> float:
    ideal = _gain(sorted(grades.values(), reverse=True)[:depth])
    found = _gain([grades.get(document, 0) for document in ranking[:depth]])
    return found / ideal if ideal else 0.0


def _gain(grades: Sequence[int]) -> float:
    return sum(max(grade, 0) / math.log2(place) for place, grade in enumerate(grades, start=2))


def _recall(grades: Mapping[str, int], ranking: Sequence[str], depth: int) -> float:
    relevant = sum(grade > 0 for grade in grades.values())
    found = sum(grades.get(document, 0) > 0 for document in ranking[:depth])
    return found / relevant if relevant else 0.0


def _reciprocal_rank(grades: Mapping[str, int], ranking: Sequence[str], depth: int) -> float:
    places = enumerate(ranking[:depth], start=1)
    return next((1 / place for place, document in places if grades.get(document, 0) > 0), 0.0)


_SCORES: Mapping[Metric, Callable[[Mapping[str, int], Sequence[str]], float]] = {
    "ndcg@10": lambda grades, ranking: _ndcg(grades, ranking, 10),
    "recall@10": lambda grades, ranking: _recall(grades, ranking, 10),
    "recall@100": lambda grades, ranking: _recall(grades, ranking, RANKING_DEPTH),
    "mrr@10": lambda grades, ranking: _reciprocal_rank(grades, ranking, 10),
}
