"""Points by their ids, or all of them: what needs no ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from indexer.stores.qdrant.layout import DENSE, WORDS
from indexer.stores.qdrant.points import is_point_id

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

    from indexer.stores.qdrant.connection import Connection

__all__ = ["Fields", "dense_of", "id_parts", "retrieve", "scroll", "words_of"]

Fields = bool | list[str]
"""All fields of a payload, none, or some by name; likewise for vectors."""

_IDS_PER_REQUEST = 1000


def retrieve(
    connection: Connection,
    name: str,
    ids: Sequence[str],
    *,
    payload: Fields = False,
    vectors: Fields = False,
) -> Iterator[models.Record]:
    """Yield the points of these ids; what is unknown or no UUID is left out."""
    for part in id_parts(ids):

        def ask(client: QdrantClient, part: list[str] = part) -> list[models.Record]:
            return client.retrieve(name, part, with_payload=payload, with_vectors=vectors)

        yield from connection.read("look-up", ask)


def scroll(
    connection: Connection,
    name: str,
    condition: models.Filter | None = None,
    *,
    batch_size: int = _IDS_PER_REQUEST,
    payload: Fields = True,
    vectors: Fields = False,
) -> Iterator[list[models.Record]]:
    """Yield all points that pass a filter, in the order of ids, in batches."""
    offset: Any = None
    while True:

        def ask(client: QdrantClient, offset: Any = offset) -> tuple[list[models.Record], Any]:  # noqa: ANN401
            return client.scroll(
                name,
                scroll_filter=condition,
                limit=batch_size,
                offset=offset,
                with_payload=payload,
                with_vectors=vectors,
            )

        points, offset = connection.read("listing", ask)
        if points:
            yield points
        if offset is None:
            return


def id_parts(ids: Sequence[str]) -> Iterator[list[str]]:
    """Yield the ids that a request may hold, each once, in parts of a request's size."""
    known = [one for one in dict.fromkeys(ids) if is_point_id(one)]
    for begin in range(0, len(known), _IDS_PER_REQUEST):
        yield known[begin : begin + _IDS_PER_REQUEST]


def dense_of(point: models.Record) -> list[float]:
    """Return the dense vector of a chunk that was asked for with it."""
    assert isinstance(point.vector, dict)
    values: Any = point.vector[DENSE]
    return list(values)


def words_of(point: models.Record | models.ScoredPoint) -> tuple[list[int], list[float]]:
    """Return dimensions and values of the sparse vector; empty for a chunk without words."""
    sparse: Any = point.vector.get(WORDS) if isinstance(point.vector, dict) else None
    return ([], []) if sparse is None else (sparse.indices, sparse.values)
