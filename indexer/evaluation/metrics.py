"""nDCG@10, recall and MRR@10 of rankings, query by query, as trec_eval computes them.

Knows ids only: judgements and rankings in, one number per query and metric out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

_TREC_NAMES: Mapping[Metric, tuple[str, str, int]] = {
    # metric: (what trec_eval is asked for, what it calls the answer, depth of the ranking)
    "ndcg@10": ("ndcg_cut.10", "ndcg_cut_10", RANKING_DEPTH),
    "recall@10": ("recall.10", "recall_10", RANKING_DEPTH),
    "recall@100": ("recall.100", "recall_100", RANKING_DEPTH),
    # trec_eval knows no cut of the reciprocal rank: it gets the first ten only.
    "mrr@10": ("recip_rank", "recip_rank", 10),
}


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
        rankings: for each query the ids of documents, best first; a query that is missing, or has
            an empty ranking, scores 0.
    """
    import pytrec_eval  # compiled: only what measures pays for it

    judged = {query: dict(grades) for query, grades in qrels.items()}
    values: dict[Metric, NDArray[np.float64]] = {}
    for metric, (asked, answered, depth) in _TREC_NAMES.items():
        evaluator = pytrec_eval.RelevanceEvaluator(judged, {asked})
        found = evaluator.evaluate(_as_run(rankings, depth))
        scores = [found.get(query, {}).get(answered, 0.0) for query in judged]
        values[metric] = np.array(scores, dtype=np.float64)  # (Q,)
    return QueryScores(tuple(judged), values)


def _as_run(rankings: Mapping[str, Sequence[str]], depth: int) -> dict[str, dict[str, float]]:
    # trec_eval orders by score in single precision, and equal ones by their ids, last first. Places
    # instead of scores keep the order that a user of the search would see.
    return {
        query: {document: float(-place) for place, document in enumerate(ranking[:depth])}
        for query, ranking in rankings.items()
        if ranking
    }
