"""The lexical leg: ranked by Qdrant's sparse index, scored again by the BM25 of now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.stores.base import Scored
from indexer.stores.qdrant.bm25 import Weighed, exact_score, query_weights
from indexer.stores.qdrant.dense_search import MOST_TIED, SPARE
from indexer.stores.qdrant.layout import WORDS
from indexer.stores.qdrant.retrieval import retrieve, words_of

if TYPE_CHECKING:
    from qdrant_client import models

    from indexer.stores.qdrant.connection import Connection

__all__ = ["WordSearch"]

_TIE = 1e-5
_LEAST_MARGIN = 0.5


class WordSearch:
    """Searches the sparse vectors of one Qdrant collection.

    Args:
        connection: where.
        name: of the collection.
        typical_tokens: length of a chunk for which its vectors are made.
    """

    def __init__(self, connection: Connection, name: str, *, typical_tokens: float) -> None:
        self._connection = connection
        self._name = name
        self._typical_tokens = typical_tokens

    def search(self, weighed: Weighed, *, top_k: int, limit: models.Filter | None) -> list[Scored]:
        """Return the ``top_k`` chunks of highest BM25, best first, equal ones by their ids."""
        # Qdrant's ranking is by weights for one length: for another they are this much off.
        drift = abs(weighed.average / self._typical_tokens - 1.0)
        margin = max(1.0 - drift, _LEAST_MARGIN) - _TIE
        wanted = top_k + SPARE
        while True:
            found, last = self._ranked(weighed, wanted, limit)
            best = found[:top_k]
            lowest = min((theirs for _, theirs in best), default=0.0)
            if last is None or last < lowest * margin or wanted > top_k + MOST_TIED:
                return [hit for hit, _ in best]
            wanted *= 4

    def scores(self, weighed: Weighed, chunk_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 of each of these chunks that there is; 0.0 where no word matches."""
        found = retrieve(
            self._connection, self._name, chunk_ids, payload=["tokens"], vectors=[WORDS]
        )
        scores = {str(point.id): self._exact(weighed, point) for point in found}
        return {one: scores[one] for one in chunk_ids if one in scores}

    def _ranked(
        self, weighed: Weighed, wanted: int, limit: models.Filter | None
    ) -> tuple[list[tuple[Scored, float]], float | None]:
        """Return what Qdrant ranks first, scored exactly and sorted, each with Qdrant's score.

        The second value is Qdrant's score of the last one, or None where there are no more.
        """
        from qdrant_client import models

        weights = query_weights(weighed)
        query = models.SparseVector(indices=list(weights), values=list(weights.values()))
        answer = self._connection.read(
            "search for words",
            lambda client: client.query_points(
                self._name,
                query=query,
                using=WORDS,
                query_filter=limit,
                limit=wanted,
                with_payload=["tokens"],
                with_vectors=[WORDS],
            ),
        )
        scored = [
            (Scored(str(point.id), self._exact(weighed, point)), float(point.score))
            for point in answer.points
        ]
        matching = [one for one in scored if one[0].score > 0.0]
        matching.sort(key=lambda one: (-one[0].score, one[0].chunk_id))
        return matching, answer.points[-1].score if len(answer.points) == wanted else None

    def _exact(self, weighed: Weighed, point: models.Record | models.ScoredPoint) -> float:
        indices, values = words_of(point)
        return exact_score(
            weighed,
            indices,
            values,
            tokens=(point.payload or {})["tokens"],
            typical_tokens=self._typical_tokens,
        )
