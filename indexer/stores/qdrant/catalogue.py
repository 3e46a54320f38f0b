"""The documents of a Qdrant collection: their list, their records and their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.documents import Document
from indexer.stores.base import DocumentRecord
from indexer.stores.qdrant.conditions import Nothing, filter_of
from indexer.stores.qdrant.layout import documents_of
from indexer.stores.qdrant.points import RECORD_FIELDS, document_of, part_id, record_of
from indexer.stores.qdrant.retrieval import retrieve, scroll
from indexer.stores.qdrant.state import State, read_state

if TYPE_CHECKING:
    from qdrant_client import models

    from indexer.searching.filters import Where
    from indexer.stores.qdrant.connection import Connection

__all__ = ["Catalogue"]

_SOURCES_PER_REQUEST = 5000
_MAX_ATTEMPTS = 3


class Catalogue:
    """Lists and reads documents.

    Args:
        connection: where.
        name: of the Qdrant collection of the chunks.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._documents = documents_of(name)
        self._sources: tuple[str, dict[str, str]] = ("", {})

    def state(self) -> State:
        """Return how far the collection follows its content."""
        return read_state(self._connection, self._name) or State()

    def filter_of(self, where: Where | None) -> models.Filter | Nothing | None:
        """Return a filter as Qdrant applies it; see ``conditions.filter_of``."""
        return filter_of(where, self.sources)

    def sources(self) -> dict[str, str]:
        """Return the source of every document, asked again only when the collection changed.

        Qdrant sorts by numbers only, so what is ordered by source is ordered here.
        """
        stamp = self.state().stamp
        known_stamp, sources = self._sources
        if not stamp or stamp != known_stamp:
            sources = self._listed(None)
            self._sources = (stamp, sources)
        return sources

    def records(
        self, where: Where | None, *, offset: int, limit: int | None
    ) -> list[DocumentRecord]:
        """Return records ordered by source."""
        condition = self.filter_of(where)
        if isinstance(condition, Nothing):
            return []
        sources = self.sources() if condition is None else self._listed(condition)
        ordered = sorted(sources, key=lambda document_id: (sources[document_id], document_id))
        ids = ordered[offset : None if limit is None else offset + limit]
        found = retrieve(self._connection, self._documents, ids, payload=RECORD_FIELDS)
        records = {str(point.id): record_of(point.payload or {}) for point in found}
        return [records[one] for one in ids if one in records]

    def document(self, document_id: str) -> Document | None:
        """Return a document with its text, or None when there is no such id."""
        for _ in range(_MAX_ATTEMPTS):
            found = self._payloads([document_id], [*RECORD_FIELDS, "parts", "content", "revision"])
            if not found:
                return None
            first = found[0]
            parts = [first]
            for number in range(1, first["parts"]):  # each is megabytes
                parts += self._payloads([part_id(document_id, number)], True)
            revisions = {part["revision"] for part in parts}
            if len(parts) == first["parts"] and len(revisions) == 1:
                return document_of(record_of(first), [part["content"] for part in parts])
        return None  # it is being replaced, over and over

    def _payloads(self, ids: list[str], fields: bool | list[str]) -> list[dict[str, Any]]:
        found = retrieve(self._connection, self._documents, ids, payload=fields)
        return [point.payload or {} for point in found]

    def _listed(self, condition: models.Filter | None) -> dict[str, str]:
        from qdrant_client import models

        is_document = models.FieldCondition(key="kind", match=models.MatchValue(value="document"))
        must: list[Any] = [is_document, *([condition] if condition else [])]
        batches = scroll(
            self._connection,
            self._documents,
            models.Filter(must=must),
            batch_size=_SOURCES_PER_REQUEST,
            payload=["source"],
        )
        return {
            str(point.id): (point.payload or {})["source"] for points in batches for point in points
        }
