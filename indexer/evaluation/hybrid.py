"""Both legs of hybrid search over a set, and their fusion by the function that a search uses.

The legs are kept apart from the fusing, so that several ways of fusing can be compared at the price
of one search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation.dense import nearest
from indexer.evaluation.lexical import LexicalIndex
from indexer.evaluation.passages import Passages
from indexer.searching.fusion import automatic_weight, deciding_chunks, weighted
from indexer.searching.results import SearchRequest
from indexer.stores.base import Scored

__all__ = ["Fuse", "LegSearch", "Legs", "fuse_by_default", "fused_rankings"]


@dataclass(frozen=True, slots=True)
class Legs:
    """What hybrid search fuses for one query: the true scores of all candidates in both legs.

    Args:
        text: the query.
        dense: cosine of each candidate, those of the dense leg first and closest first.
        lexical: BM25 of each candidate, 0.0 where no word matches.
        lengths: UTF-8 bytes of the chunks that choose the weight; see ``automatic_weight``.
    """

    text: str
    dense: Mapping[str, float]
    lexical: Mapping[str, float]
    lengths: Sequence[int]


Fuse = Callable[[Legs], Sequence[Scored]]
"""Ranks the candidates of one query, best first."""


def fuse_by_default(legs: Legs) -> Sequence[Scored]:
    """Fuse as a search does that is told nothing else."""
    return weighted(legs.dense, legs.lexical, dense_weight=automatic_weight(legs.lengths))


class LegSearch:
    """Searches both legs of one set.

    Args:
        passages: the M passages.
        index: their words.
        vectors: for each step count of queries the (M, D) vectors to compare them with.
    """

    def __init__(
        self,
        passages: Passages,
        index: LexicalIndex,
        vectors: Mapping[int, NDArray[np.float32]],
    ) -> None:
        self._ids = passages.chunk_ids()
        self._places = {chunk_id: place for place, chunk_id in enumerate(self._ids)}
        self._lengths = [len(f"{one.context}{one.text}".encode()) for one in passages.chunks]  # M
        self._index = index
        self._vectors = vectors
        self._candidates = SearchRequest("any").candidates

    def search(
        self, texts: Sequence[str], queries: Mapping[int, NDArray[np.float32]]
    ) -> dict[int, list[Legs]]:
        """Return for each step count the legs of Q queries.

        The words are searched once per query, whatever the step counts.

        Args:
            texts: Q queries.
            queries: for each step count their (Q, D) vectors.
        """
        closest = {
            step: nearest(vectors, self._vectors[step], top_k=self._candidates)[0]
            for step, vectors in queries.items()
        }
        legs: dict[int, list[Legs]] = {step: [] for step in queries}
        for number, text in enumerate(texts):
            near = {
                step: [self._ids[place] for place in places[number]]
                for step, places in closest.items()
            }
            found = self._index.search(text, top_k=self._candidates)
            words = {hit.chunk_id: hit.score for hit in found}
            missing = {chunk_id for ids in near.values() for chunk_id in ids} - words.keys()
            known = words | self._index.scores(text, sorted(missing))
            for step, ids in near.items():
                candidates = list(dict.fromkeys([*ids, *words]))  # C
                cosines = self._cosines(step, queries[step][number], candidates)
                lexical = {chunk_id: known[chunk_id] for chunk_id in candidates}
                lengths = [self._lengths[self._places[one]] for one in deciding_chunks(ids, words)]
                dense = dict(zip(candidates, cosines, strict=True))
                legs[step].append(Legs(text, dense, lexical, lengths))
        return legs

    def _cosines(
        self, step: int, query: NDArray[np.float32], chunk_ids: Sequence[str]
    ) -> list[float]:
        rows = self._vectors[step][[self._places[chunk_id] for chunk_id in chunk_ids]]  # (C, D)
        cosines: list[float] = (rows @ query).tolist()
        return cosines


def fused_rankings(
    legs: Sequence[Legs], passages: Passages, *, fuse: Fuse = fuse_by_default
) -> list[list[str]]:
    """Return for each query the ids of documents, best first."""
    places = {chunk_id: place for place, chunk_id in enumerate(passages.chunk_ids())}
    return [
        passages.rank_documents(places[scored.chunk_id] for scored in fuse(pair)) for pair in legs
    ]
