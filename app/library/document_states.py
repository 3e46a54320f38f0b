"""The documents of a collection with how far each has come, waiting and failed ones included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.services import Services
from indexer.collections.library import Collection
from indexer.documents import document_id
from indexer.indexing.discovery import display_path
from indexer.searching.filters import Where
from indexer.storage.ledger import FileState, LedgerRow
from indexer.stores.base import DocumentRecord

__all__ = ["DocumentState", "document_state", "document_states"]


@dataclass(frozen=True, slots=True)
class DocumentState:
    """What is known of one document.

    Args:
        id: its id.
        source: where it is, as shown.
        state: how far it has come.
        record: what can be searched of it; None while that is nothing.
        message: what went wrong or had to be left out, if anything.
        hint: what the user can do about it.
        code: short stable word for the cause.
    """

    id: str
    source: str
    state: FileState
    record: DocumentRecord | None = None
    message: str | None = None
    hint: str | None = None
    code: str | None = None


def document_states(
    collection: Collection,
    *,
    where: Where | None,
    states: Sequence[FileState],
    offset: int,
    limit: int,
) -> list[DocumentState]:
    """Return one page of documents, ordered by source.

    Args:
        collection: whose documents.
        where: conditions that only documents which can be searched fulfil; None lists all files
            that a run has seen.
        states: only these; all where none are named. Not together with ``where``.
        offset: how many to pass over.
        limit: how many to return.
    """
    if where is None:
        rows = collection.ledger.rows(offset=offset, limit=limit, states=states)
        records = _records(collection, [row.document_id for row in rows if row.chunks])
        return [_known(row, records.get(row.document_id)) for row in rows]
    found = collection.store.documents(where=where, offset=offset, limit=limit)
    ledger_rows = collection.ledger.get([record.id for record in found])
    return [
        _known(ledger_rows[record.id], record)
        if record.id in ledger_rows
        else DocumentState(record.id, record.source, "ready", record)
        for record in found
    ]


def document_state(
    services: Services, collection: Collection, identity: str
) -> DocumentState | None:
    """Return what is known of one document; None when nobody has heard of it."""
    row = collection.ledger.get([identity]).get(identity)
    if row is not None:
        return _known(row, _records(collection, [identity]).get(identity))
    for job in services.queue.jobs():
        if job.collection == collection.name and job.kind == "files":
            for path in job.paths:
                source = display_path(path)
                if document_id(source) == identity:
                    return DocumentState(identity, source, "queued")
    return None


def _records(collection: Collection, ids: Sequence[str]) -> dict[str, DocumentRecord]:
    if not ids:
        return {}
    found = collection.store.documents(where=Where(document_ids=tuple(ids)))
    return {record.id: record for record in found}


def _known(row: LedgerRow, record: DocumentRecord | None) -> DocumentState:
    return DocumentState(
        id=row.document_id,
        source=row.source,
        state=row.state,
        record=record,
        message=row.message,
        hint=row.hint,
        code=row.code,
    )
