"""Fuses the results of dense and lexical search into one ranking, the same for every store.

Pure arithmetic over scores and lengths; knows no stores and no texts. ``tests/bench/fusion.py``
measured the constants, on sets with judgements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from math import exp, fsum, log
from typing import Literal

from indexer.stores.base import Scored

__all__ = [
    "AUTOMATIC",
    "RRF_K",
    "Automatic",
    "DenseWeight",
    "automatic_weight",
    "deciding_chunks",
    "reciprocal_ranks",
    "weighted",
]

Automatic = Literal["auto"]
AUTOMATIC: Automatic = "auto"
DenseWeight = float | Automatic
"""Share of the dense leg, 0 to 1, or ``"auto"``: chosen for each query."""

RRF_K = 60
"""Constant of reciprocal rank fusion. Source: Cormack, Clarke and Büttcher, SIGIR 2009."""

_DENSE_TEMPERATURE, _LEXICAL_TEMPERATURE = 0.25, 0.3
"""The smaller, the more the first hits of a leg stand out. Between 0.2 and 0.4 it hardly matters;
without (the plain sum of the scores) a leg that is right about a few chunks is outvoted."""

_EVEN_BYTES = 1200.0
"""Passages of this length give both legs the same weight."""

_DECLINE = 1.0
"""How fast the weight of the dense leg falls as passages get longer."""

_DECIDING = 20


def weighted(
    dense: Mapping[str, float], lexical: Mapping[str, float], *, dense_weight: float
) -> list[Scored]:
    """Return chunks by a convex sum of what each leg makes of them.

    Each leg's scores are stretched to 0 to 1 and turned into shares of the whole by a softmax. So a
    leg that sets a few chunks apart decides where the other one finds all alike, whatever the scale
    of their scores. A leg that scores all the same (no word matches) leaves the order to the other
    one. Equal sums are in the order of the ids.

    Args:
        dense: cosine of every chunk to rank.
        lexical: BM25 of the same chunks, 0 where no word matches.
        dense_weight: share of the dense leg, 0 to 1.

    Returns:
        Scores up to 1.0, which a chunk gets that is the best one of both legs.
    """
    totals = dict.fromkeys([*dense, *lexical], 0.0)
    most = 0.0
    for scores, temperature, weight in (
        (dense, _DENSE_TEMPERATURE, dense_weight),
        (lexical, _LEXICAL_TEMPERATURE, 1.0 - dense_weight),
    ):
        shares = _shares(scores, temperature)
        most += weight * max(shares.values(), default=0.0)
        for chunk_id, share in shares.items():
            totals[chunk_id] += weight * share
    scale = most or 1.0
    return _ranked({chunk_id: total / scale for chunk_id, total in totals.items()})


def automatic_weight(lengths: Iterable[int]) -> float:
    """Return the share of the dense leg for candidates of these lengths.

    One vector holds the meaning of a short passage whole and blurs the details of a long one, which
    its words still tell: the longer the passages, the more the words count. The weight is
    ``1 / (1 + length / 1200)``: 0.92 for sentences of 100 bytes, 0.50 for passages of
    1,200.

    Args:
        lengths: UTF-8 bytes of the candidates' texts, with their context; their geometric mean
            decides. None at all stands for the length at which both legs weigh the same.
    """
    logarithms = [log(max(1, length)) for length in lengths]
    if not logarithms:
        return 0.5
    mean = fsum(logarithms) / len(logarithms)
    return 1.0 / (1.0 + exp(_DECLINE * (mean - log(_EVEN_BYTES))))


def deciding_chunks(dense: Iterable[str], lexical: Iterable[str]) -> list[str]:
    """Return the chunks whose lengths choose the weight: the first twenty of each leg.

    Args:
        dense: ids of chunks, closest first.
        lexical: ids of chunks, best first.

    Returns:
        Their ids; one that both legs found counts twice.
    """
    return [*islice(dense, _DECIDING), *islice(lexical, _DECIDING)]


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


def _shares(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Return each chunk's share of a leg: softmax over the scores stretched to 0 to 1."""
    if not scores:
        return {}
    least, best = min(scores.values()), max(scores.values())
    width = (best - least) * temperature or 1.0
    # From the best one downwards, so that no exponential is above 1.
    powers = {chunk_id: exp((score - best) / width) for chunk_id, score in scores.items()}
    whole = fsum(powers.values())
    return {chunk_id: power / whole for chunk_id, power in powers.items()}


def _ranked(totals: Mapping[str, float]) -> list[Scored]:
    scored = [Scored(chunk_id, total) for chunk_id, total in totals.items()]
    return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))
