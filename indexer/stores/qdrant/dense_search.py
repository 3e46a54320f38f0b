"""The dense leg: the chunks closest to a query, found by Qdrant, ties put in order here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from indexer.stores.base import Scored
from indexer.stores.qdrant.layout import DENSE
from indexer.stores.qdrant.retrieval import dense_of, id_parts, retrieve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qdrant_client import QdrantClient, models

    from indexer.stores.qdrant.connection import Connection

__all__ = ["MOST_TIED", "SPARE", "DenseSearch"]

SPARE = 16
MOST_TIED = 4096
"""Chunks that tie with the last one wanted are all looked at, so that the order of ids decides, but
no more than about this many beyond it."""

_TIE = 2e-6  # equal vectors may be scored a few 1e-7 apart
_QUERIES_PER_REQUEST = 32


class DenseSearch:
    """Searches the dense vectors of one Qdrant collection.

    Args:
        connection: where.
        name: of the collection.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def search(
        self, vectors: NDArray[np.float32], *, top_k: int, limit: models.Filter | None
    ) -> list[list[Scored]]:
        """Return for each of the (Q, D) queries, checked, its ``top_k`` closest chunks."""
        wanted = top_k + SPARE
        found: list[list[Scored]] = []
        for begin in range(0, len(vectors), _QUERIES_PER_REQUEST):
            found += self._closest(vectors[begin : begin + _QUERIES_PER_REQUEST], wanted, limit)
        return [
            self._settled(query, hits, top_k, limit)
            for query, hits in zip(vectors, found, strict=True)
        ]

    def scores(self, vector: NDArray[np.float32], chunk_ids: Sequence[str]) -> dict[str, float]:
        """Return the exact cosine of one (D,) query with each of these chunks that there is."""
        from qdrant_client import models

        found: dict[str, float] = {}
        query = vector.tolist()
        for part in id_parts(chunk_ids):

            def ask(client: QdrantClient, part: list[str] = part) -> models.QueryResponse:
                return client.query_points(
                    self._name,
                    query=query,
                    using=DENSE,
                    query_filter=models.Filter(must=[models.HasIdCondition(has_id=list(part))]),
                    search_params=self._exact_parameters(),
                    limit=len(part),
                    with_payload=False,
                )

            answer = self._connection.read("scoring", ask)
            found.update((str(point.id), float(point.score)) for point in answer.points)
        return {one: found[one] for one in chunk_ids if one in found}

    def _closest(
        self, vectors: NDArray[np.float32], wanted: int, limit: models.Filter | None
    ) -> list[list[Scored]]:
        from qdrant_client import models

        requests = [
            models.QueryRequest(
                query=query.tolist(),
                using=DENSE,
                filter=limit,
                params=self._parameters(wanted),
                limit=wanted,
                with_payload=False,
            )
            for query in vectors
        ]
        answers = self._connection.read(
            "search", lambda client: client.query_batch_points(self._name, requests=requests)
        )
        return [
            [Scored(str(point.id), float(point.score)) for point in answer.points]
            for answer in answers
        ]

    def _settled(
        self,
        query: NDArray[np.float32],
        hits: list[Scored],
        top_k: int,
        limit: models.Filter | None,
    ) -> list[Scored]:
        """Put equal ones in the order of their ids, after all that tie with the last are there."""
        wanted = top_k + SPARE
        while (
            len(hits) == wanted
            and hits[-1].score >= hits[top_k - 1].score - _TIE
            and wanted <= top_k + MOST_TIED
        ):
            wanted *= 4
            (hits,) = self._closest(query[None], wanted, limit)
        if tied := _tied(hits):
            hits = self._equalized(hits, tied)
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:top_k]

    def _equalized(self, hits: list[Scored], tied: Sequence[str]) -> list[Scored]:
        """Give chunks of equal vectors equal scores."""
        vectors = {
            str(point.id): tuple(dense_of(point))
            for point in retrieve(self._connection, self._name, tied, vectors=[DENSE])
        }
        best: dict[tuple[float, ...], float] = {}
        for hit in hits:
            if (vector := vectors.get(hit.chunk_id)) is not None:
                best[vector] = max(best.get(vector, hit.score), hit.score)
        return [
            Scored(hit.chunk_id, best[vectors[hit.chunk_id]]) if hit.chunk_id in vectors else hit
            for hit in hits
        ]

    def _parameters(self, wanted: int) -> models.SearchParams | None:
        from qdrant_client import models

        settings = self._connection.settings
        if settings.is_local:  # which is exact, and warns of parameters
            return None
        return models.SearchParams(
            hnsw_ef=max(settings.hnsw_ef, wanted),
            quantization=models.QuantizationSearchParams(
                rescore=True, oversampling=settings.oversampling
            ),
        )

    def _exact_parameters(self) -> models.SearchParams | None:
        from qdrant_client import models

        if self._connection.is_local:
            return None
        ignored = models.QuantizationSearchParams(ignore=True)
        return models.SearchParams(exact=True, quantization=ignored)


def _tied(hits: Sequence[Scored]) -> list[str]:
    """Return the chunks whose scores are next to equal to that of a neighbour."""
    found: dict[str, None] = {}
    for one, other in pairwise(hits):
        if one.score - other.score <= _TIE:
            found[one.chunk_id] = found[other.chunk_id] = None
    return list(found)
