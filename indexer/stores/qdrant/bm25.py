"""BM25 as FTS5 computes it, cut in two: what a chunk's sparse vector holds, and what a query adds.

A chunk's weights need the average length of all chunks, which changes with every document. So they
are made for one typical length, by which Qdrant ranks; from what a vector holds the counts come
back, and with them the score by the average of now, equal to that of the embedded store. Source of
the formula: the SQLite documentation, "The bm25() function".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import log

from indexer.stores.lexical import CONTEXT_WEIGHT, Term

__all__ = ["Weighed", "chunk_weights", "dimension", "exact_score", "query_weights"]

_K1, _B = 1.2, 0.75
_LEAST_RARITY = 1e-6  # FTS5 gives this to words of more than half of the chunks
_FIRST_SPACELESS = "\u0e01"  # Thai; no script before it is written without spaces


@dataclass(frozen=True, slots=True)
class Weighed:
    """A query's terms with what they weigh in the collection as it is now.

    Args:
        frequencies: for each term that occurs, in how many chunks.
        chunks: how many chunks there are.
        average: tokens of a chunk, on average.
    """

    frequencies: Mapping[Term, int]
    chunks: int
    average: float


def dimension(kind: str, token: str) -> int:
    """Return the dimension of the sparse vector for a term: 32 bits of its hash.

    Of a million terms about one in four thousand shares its dimension with another.
    """
    return _hashed(f"{kind}\n{token}")


@lru_cache(maxsize=1 << 17)
def _hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=4).digest(), "big")


def chunk_weights(
    counts: Mapping[str, tuple[int, int, int]], *, typical_tokens: float
) -> tuple[dict[int, float], int]:
    """Return the sparse vector of a chunk, and how many tokens it has.

    Args:
        counts: for each token how many times it is in context, text and pieces.
        typical_tokens: length for which the weights are made.
    """
    found: dict[int, float] = {}

    def add(kind: str, token: str, count: float) -> None:
        place = dimension(kind, token)
        found[place] = found.get(place, 0.0) + count

    for token, (context, text, pieces) in counts.items():
        add("word", token, CONTEXT_WEIGHT * context + text + pieces)
        if pieces and token[0] >= _FIRST_SPACELESS:
            add("pair", token, pieces)
            add("character", token[0], pieces)
    tokens = sum(sum(columns) for columns in counts.values())
    norm = _norm(tokens, typical_tokens)
    return {
        place: count * (_K1 + 1.0) / (count + norm) for place, count in sorted(found.items())
    }, tokens


def query_weights(weighed: Weighed) -> dict[int, float]:
    """Return the sparse vector of a query, for a sparse index that multiplies by its own rarity.

    Qdrant's rarity is that of Lucene, which differs from FTS5's for frequent words; the weights
    hold the quotient of the two.
    """
    found: dict[int, float] = {}
    for term, frequency in weighed.frequencies.items():
        theirs = log(1.0 + (weighed.chunks - frequency + 0.5) / (frequency + 0.5))
        weight = term.repeats * _rarity(weighed.chunks, frequency) / max(theirs, _LEAST_RARITY)
        place = dimension(term.kind, term.token)
        found[place] = found.get(place, 0.0) + weight
    return dict(sorted(found.items()))


def exact_score(
    weighed: Weighed,
    indices: Sequence[int],
    values: Sequence[float],
    *,
    tokens: int,
    typical_tokens: float,
) -> float:
    """Return the BM25 of a chunk by its sparse vector; 0.0 where no term of the query occurs."""
    made_for = _norm(tokens, typical_tokens)
    norm = _norm(tokens, weighed.average)
    weights = dict(zip(indices, values, strict=True))
    score = 0.0
    for term, frequency in weighed.frequencies.items():
        weight = weights.get(dimension(term.kind, term.token))
        if weight is not None:
            count = _count(weight, made_for)
            part = count * (_K1 + 1.0) / (count + norm)
            score += term.repeats * _rarity(weighed.chunks, frequency) * part
    return score


def _norm(tokens: int, average: float) -> float:
    return _K1 * (1.0 - _B + _B * tokens / average)


def _count(weight: float, norm: float) -> float:
    """Return how many times a term occurs: a multiple of a half, as headings count 1.5."""
    return round(2.0 * weight * norm / max(_K1 + 1.0 - weight, 1e-6)) / 2.0


def _rarity(chunks: int, frequency: int) -> float:
    return max(log(max(chunks - frequency + 0.5, 1e-9) / (frequency + 0.5)), _LEAST_RARITY)
