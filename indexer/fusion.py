"""Fuses the results of dense and lexical search into one ranking, the same for every store.

Pure arithmetic over scores; knows no stores and no texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from indexer.stores.base import Scored

__all__ = ["DENSE_WEIGHT", "RRF_K", "reciprocal_ranks", "weighted"]

DENSE_WEIGHT = 0.65
"""Share of the dense leg in weighted fusion: the best single value over seven labelled sets, where
it gains 3 points of nDCG@10 over reciprocal ranks."""

RRF_K = 60
"""Constant of reciprocal rank fusion. Source: Cormack, Clarke and Büttcher, SIGIR 2009."""


def weighted(
    dense: Mapping[str, float],
    lexical: Mapping[str, float],
    *,
    dense_weight: float = DENSE_WEIGHT,
) -> list[Scored]:
    """Return chunks by a convex sum of both scores, each divided by the largest of its leg.

    The largest by size: where the best cosine is next to zero and others are far below it, dividing
    by the best would give their leg any weight at all. A leg in which nothing scores (no word
    matches) leaves the order to the other one. Equal sums are in the order of the ids.

    Args:
        dense: cosine of every chunk to rank.
        lexical: BM25 of the same chunks, 0 where no word matches.
        dense_weight: share of the dense leg, 0 to 1.
    """
    totals = dict.fromkeys([*dense, *lexical], 0.0)
    for scores, weight in ((dense, dense_weight), (lexical, 1.0 - dense_weight)):
        scale = max(map(abs, scores.values()), default=0.0) or 1.0
        for chunk_id, score in scores.items():
            totals[chunk_id] += weight * score / scale
    return _ranked(totals)


def reciprocal_ranks(
    dense: Sequence[str], lexical: Sequence[str], *, k: int = RRF_K
) -> list[Scored]:
    """Return chunks by the sum of ``1 / (k + rank)`` over the lists that contain them.

    Args:
        dense: ids of chunks, closest first.
        lexical: ids of chunks, best first.
        k: the larger, the less the first ranks stand out.
    """
    totals: dict[str, float] = {}
    for ranking in (dense, lexical):
        for rank, chunk_id in enumerate(ranking, start=1):
            totals[chunk_id] = totals.get(chunk_id, 0.0) + 1.0 / (k + rank)
    return _ranked(totals)


def _ranked(totals: Mapping[str, float]) -> list[Scored]:
    scored = [Scored(chunk_id, total) for chunk_id, total in totals.items()]
    return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))
