"""Looks at a collection for one request, as often as its query is refined.

Searches both legs, fuses them, fetches the passages of the page and marks what matched. What does
not depend on the query's vector (the words) is searched once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.searching.fusion import (
    AUTOMATIC,
    automatic_weight,
    deciding_chunks,
    reciprocal_ranks,
    weighted,
)
from indexer.searching.highlighting import highlights_of
from indexer.searching.legs import Leg, Legs
from indexer.searching.results import PASSAGES_PER_DOCUMENT, Hit, SearchRequest
from indexer.stores.base import Scored, StoredChunk, VectorStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.collections.search_defaults import SearchDefaults
    from indexer.searching.clock import SearchClock

__all__ = ["Look", "Looking"]

_MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What was found: the ids of the whole ranking, the hits of the page, the dense leg's share."""

    ranking: tuple[str, ...]
    hits: tuple[Hit, ...]
    dense_weight: float | None


@dataclass(frozen=True, slots=True)
class _Found:
    """The final ranking, with the legs behind it."""

    ranking: Sequence[Scored]
    dense: Leg
    lexical: Leg
    dense_weight: float | None = None


class Looking:
    """Looks at a store for one request.

    Args:
        store: the collection's store.
        request: what is asked.
        defaults: what the collection chose for requests that say nothing.
        clock: gets the time of each part.
    """

    def __init__(
        self,
        store: VectorStore,
        request: SearchRequest,
        defaults: SearchDefaults,
        clock: SearchClock,
    ) -> None:
        self._store = store
        self._request = request
        self._defaults = defaults
        self._clock = clock
        self._legs = self._new_legs()
        self._words: tuple[int, Leg] | None = None
        self._first_ranks: Mapping[str, int] | None = None
        self.looks = 0

    def look(self, vector: NDArray[np.float32] | None) -> Look:
        """Return what a query finds by this (D,) vector, or by its words alone."""
        self.looks += 1
        for _ in range(_MAX_ATTEMPTS):
            found, page, stored = self._page(vector)
            if len(stored) == len(page):
                break
            # Documents were replaced meanwhile: look at the new ones.
            self._legs, self._words = self._new_legs(), None
        ranks = {hit.chunk_id: rank for rank, hit in enumerate(found.ranking, start=1)}
        with self._clock.part("fetch"):
            hits = self._hits(found, page, stored, ranks)
        if self._first_ranks is None:
            self._first_ranks = ranks
        return Look(tuple(ranks), hits, found.dense_weight)

    def _new_legs(self) -> Legs:
        request = self._request
        # What was judged as wrong is not shown again; what others are to be like is known already.
        left_out = request.unlike if request.text.strip() else (*request.like, *request.unlike)
        return Legs(self._store, request.words, where=request.where, left_out=left_out)

    def _page(
        self, vector: NDArray[np.float32] | None
    ) -> tuple[_Found, list[Scored], Mapping[str, StoredChunk]]:
        """Return the ranking, what of it is to be shown, and the chunks of that."""
        request = self._request
        begin, end = request.offset, request.offset + request.top_k
        if request.grouping == "passage":
            found = self._find(vector, end)
            page = list(found.ranking[begin:end])
            with self._clock.part("fetch"):
                return found, page, self._store.get([hit.chunk_id for hit in page])
        wanted = max(end * PASSAGES_PER_DOCUMENT, request.candidates)
        while True:
            found = self._find(vector, wanted)
            with self._clock.part("fetch"):
                stored = self._store.get([hit.chunk_id for hit in found.ranking])
            groups = _by_document(found.ranking, stored)
            if len(groups) >= end or len(found.ranking) < wanted:
                break
            wanted *= 4
        page = [hit for group in groups[begin:end] for hit in group[:PASSAGES_PER_DOCUMENT]]
        return found, page, {hit.chunk_id: stored[hit.chunk_id] for hit in page}

    def _find(self, vector: NDArray[np.float32] | None, wanted: int) -> _Found:
        request, clock = self._request, self._clock
        if request.mode == "hybrid":
            wanted = max(wanted, request.candidates)
        dense, lexical = Leg(), Leg()
        if vector is not None:
            with clock.part("dense"):
                dense = self._legs.dense(vector, wanted=wanted)
        if request.mode != "dense":
            with clock.part("lexical"):
                lexical = self._lexical(wanted)
        if vector is None:
            return _Found(lexical.ranking, dense, lexical)
        if request.mode == "dense":
            return _Found(dense.ranking, dense, lexical)
        return self._fuse(vector, dense, lexical)

    def _lexical(self, wanted: int) -> Leg:
        if self._words is None or self._words[0] != wanted:
            self._words = wanted, self._legs.lexical(wanted=wanted)
        return self._words[1]

    def _fuse(self, vector: NDArray[np.float32], dense: Leg, lexical: Leg) -> _Found:
        """Join both legs, after each chunk of one leg got its true score in the other."""
        request, clock = self._request, self._clock
        with clock.part("dense"):
            self._legs.complete_dense(dense, vector, lexical.ranks)
        with clock.part("lexical"):
            self._legs.complete_lexical(lexical, dense.ranks)
        with clock.part("fuse"):
            if request.fusion == "rrf":
                ranking = reciprocal_ranks(list(dense.ranks), list(lexical.ranks))
                return _Found(ranking, dense, lexical)
            weight = self._weight(dense, lexical)
            # The lexical leg knows scores of what earlier looks found as well.
            words = {one: lexical.scores[one] for one in dense.scores if one in lexical.scores}
            ranking = weighted(dense.scores, words, dense_weight=weight)
        return _Found(ranking, dense, lexical, weight)

    def _weight(self, dense: Leg, lexical: Leg) -> float:
        chosen = self._defaults.dense_weight
        if self._request.dense_weight is not None:
            chosen = self._request.dense_weight
        if chosen is not None and chosen != AUTOMATIC:
            return chosen
        deciding = deciding_chunks(dense.ranks, lexical.ranks)
        lengths = self._store.lengths(deciding)
        return automatic_weight([lengths[one] for one in deciding if one in lengths])

    def _hits(
        self,
        found: _Found,
        page: Sequence[Scored],
        stored: Mapping[str, StoredChunk],
        ranks: Mapping[str, int],
    ) -> tuple[Hit, ...]:
        kept = [scored for scored in page if scored.chunk_id in stored]
        passages = [stored[scored.chunk_id].chunk.text for scored in kept]
        marks = highlights_of(self._request.words.text, passages)
        first = self._first_ranks or {}
        missed = len(page) - len(kept)  # ranks count what is there, unless documents still change
        return tuple(
            Hit(
                rank=place if missed else ranks[scored.chunk_id],
                score=scored.score,
                chunk=stored[scored.chunk_id].chunk,
                document=stored[scored.chunk_id].document,
                dense_score=found.dense.scores.get(scored.chunk_id),
                dense_rank=found.dense.ranks.get(scored.chunk_id),
                lexical_score=found.lexical.scores.get(scored.chunk_id),
                lexical_rank=found.lexical.ranks.get(scored.chunk_id),
                highlights=tuple(spans),
                first_rank=first.get(scored.chunk_id),
            )
            for place, (scored, spans) in enumerate(
                zip(kept, marks, strict=True), start=self._request.offset + 1
            )
        )


def _by_document(
    ranking: Sequence[Scored], stored: Mapping[str, StoredChunk]
) -> list[list[Scored]]:
    """Return the chunks of each document together, documents by their best one."""
    groups: dict[str, list[Scored]] = {}
    for hit in ranking:
        if hit.chunk_id in stored:
            groups.setdefault(stored[hit.chunk_id].document.id, []).append(hit)
    return list(groups.values())
