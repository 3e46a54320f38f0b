"""The two ways of searching a store, under everything that a request demands of its hits.

Phrases, excluded words and passages left out are applied here, so that they mean the same in both
legs and on every store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from indexer.stores.base import Scored, VectorStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.searching.filters import Where
    from indexer.searching.query_words import QueryWords

__all__ = ["Leg", "Legs"]

_FEW = 2_000
"""So many chunks with a phrase are scored one by one; more are looked for among the leg's best."""

_SPARE = 32


class Leg:
    """What one way of searching ranked, and scores that may cover more than that."""

    def __init__(self, ranking: Sequence[Scored] = ()) -> None:
        self.ranking = ranking
        self.scores = {hit.chunk_id: hit.score for hit in ranking}
        self.ranks = {hit.chunk_id: rank for rank, hit in enumerate(ranking, start=1)}


class Legs:
    """Searches a store for one request.

    Args:
        store: the collection's store.
        words: the request's text, taken apart.
        where: which documents to search.
        left_out: ids of chunks that are not to be found.
    """

    def __init__(
        self,
        store: VectorStore,
        words: QueryWords,
        *,
        where: Where | None,
        left_out: Collection[str] = (),
    ) -> None:
        self._store = store
        self._words = words
        self._where = where
        self._left_out = frozenset(left_out)
        self._is_limited = bool(words.phrases or words.excluded or left_out)
        self._allowed: set[str] | None = None
        self._judged: dict[str, bool] = {}

    def dense(self, vector: NDArray[np.float32], *, wanted: int) -> Leg:
        """Return the ``wanted`` chunks closest to a (D,) vector."""
        return self._leg(
            lambda count: self._store.search(vector[None], top_k=count, where=self._where)[0],
            lambda ids: self._store.vector_scores(vector, ids),
            wanted,
        )

    def lexical(self, *, wanted: int) -> Leg:
        """Return the ``wanted`` chunks of highest BM25."""
        text = self._words.text
        return self._leg(
            lambda count: self._store.search_text(text, top_k=count, where=self._where),
            lambda ids: _positive(self._store.text_scores(text, ids)),
            wanted,
        )

    def complete_dense(self, leg: Leg, vector: NDArray[np.float32], others: Iterable[str]) -> None:
        """Give a dense leg the true scores of what the other leg found."""
        if missing := [chunk_id for chunk_id in others if chunk_id not in leg.scores]:
            leg.scores.update(self._store.vector_scores(vector, missing))

    def complete_lexical(self, leg: Leg, others: Iterable[str]) -> None:
        """Give a lexical leg the true scores of what the other leg found."""
        if missing := [chunk_id for chunk_id in others if chunk_id not in leg.scores]:
            leg.scores.update(self._store.text_scores(self._words.text, missing))

    def _leg(
        self,
        search: Callable[[int], list[Scored]],
        score: Callable[[Sequence[str]], dict[str, float]],
        wanted: int,
    ) -> Leg:
        if not self._is_limited:
            return Leg(search(wanted))
        allowed = self._with_phrases()
        if allowed is not None and len(allowed) <= _FEW:
            scores = score(self._kept(sorted(allowed)))
            ranking = [Scored(chunk_id, value) for chunk_id, value in scores.items()]
            ranking.sort(key=lambda hit: (-hit.score, hit.chunk_id))
            return Leg(ranking[:wanted])
        count = wanted + _SPARE
        while True:
            found = search(count)
            kept = set(self._kept([hit.chunk_id for hit in found]))
            ranking = [hit for hit in found if hit.chunk_id in kept]
            if len(ranking) >= wanted or len(found) < count:
                return Leg(ranking[:wanted])
            count *= 4

    def _with_phrases(self) -> set[str] | None:
        """Return the chunks that contain all phrases, or None where there are no phrases."""
        if self._allowed is None:
            for phrase in self._words.phrases:
                if self._allowed is None:
                    self._allowed = self._store.containing(phrase, where=self._where)
                else:
                    among = sorted(self._allowed)
                    self._allowed &= self._store.containing(phrase, among=among)
        return self._allowed

    def _kept(self, chunk_ids: Sequence[str]) -> list[str]:
        """Return those of the chunks that the request allows."""
        fresh = [chunk_id for chunk_id in chunk_ids if chunk_id not in self._judged]
        if fresh:
            allowed = self._with_phrases()
            refused = set(self._left_out)
            for phrase in self._words.excluded:
                refused |= self._store.containing(phrase, among=fresh)
            for chunk_id in fresh:
                has_phrases = allowed is None or chunk_id in allowed
                self._judged[chunk_id] = has_phrases and chunk_id not in refused
        return [chunk_id for chunk_id in chunk_ids if self._judged[chunk_id]]


def _positive(scores: dict[str, float]) -> dict[str, float]:
    return {chunk_id: score for chunk_id, score in scores.items() if score > 0.0}
