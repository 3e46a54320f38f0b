"""Reads documents and chunks from the collection's database: what a search shows.

Knows SQL and the values of ``indexer.documents``. Every function works inside a transaction of the
caller, so that several of them see one state.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence

from indexer.documents import Chunk, Document, Section
from indexer.searching.filters import Where
from indexer.stores.base import DocumentRecord, StoredChunk

__all__ = [
    "chunk_count",
    "chunk_lengths",
    "chunk_rows",
    "chunks_of_rows",
    "current_change",
    "document_keys",
    "json_text",
    "known_documents",
    "load_chunks",
    "load_chunks_of_document",
    "load_document",
    "load_records",
    "load_records_of",
    "scroll_chunks",
    "scroll_chunks_of",
]

_RECORD = "d.id, d.source, d.title, d.media_type, d.modified_at, d.size_bytes, d.chunks, d.metadata"
_STORED_CHUNK = f"c.id, w.text, c.start, c.end, c.page, w.context, {_RECORD}"
# CROSS JOIN keeps SQLite from walking the word table first.
_CHUNK_TABLES = (
    "chunks c CROSS JOIN documents d ON d.key = c.document "
    "CROSS JOIN chunk_words w ON w.rowid = c.key"
)

_MOST = 2**63 - 1  # the largest number that SQLite takes

_StoredChunkRow = tuple[
    str, str, int, int, int | None, str, str, str, str, str, float, int, int, str
]


def load_chunks(connection: sqlite3.Connection, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
    """Return the chunks of these ids; unknown ones are left out."""
    found = connection.execute(
        f"SELECT {_STORED_CHUNK} FROM {_CHUNK_TABLES} "
        "WHERE c.id IN (SELECT value FROM json_each(?))",
        (json_text(chunk_ids),),
    )
    return {row[0]: _stored_chunk(row) for row in found}


def chunk_lengths(connection: sqlite3.Connection, chunk_ids: Sequence[str]) -> dict[str, int]:
    """Return the UTF-8 bytes of context and text of these chunks; unknown ones are left out."""
    found = connection.execute(
        "SELECT c.id, length(CAST(w.context AS BLOB)) + length(CAST(w.text AS BLOB)) "
        "FROM chunks c CROSS JOIN chunk_words w ON w.rowid = c.key "
        "WHERE c.id IN (SELECT value FROM json_each(?))",
        (json_text(chunk_ids),),
    )
    return dict(found.fetchall())


def load_chunks_of_document(connection: sqlite3.Connection, document_id: str) -> list[Chunk]:
    """Return a document's chunks in the order of the text."""
    found = connection.execute(
        f"SELECT {_STORED_CHUNK} FROM {_CHUNK_TABLES} "
        "WHERE c.document = (SELECT key FROM documents WHERE id = ?) ORDER BY c.start, c.end",
        (document_id,),
    )
    return [_stored_chunk(row).chunk for row in found]


def scroll_chunks(
    connection: sqlite3.Connection, *, batch_size: int
) -> Iterator[tuple[list[StoredChunk], list[int]]]:
    """Yield every chunk with its archive row, in batches, in order of indexing."""
    found = connection.execute(f"SELECT {_STORED_CHUNK}, c.row FROM {_CHUNK_TABLES} ORDER BY c.key")
    while batch := found.fetchmany(batch_size):
        yield [_stored_chunk(row[:-1]) for row in batch], [row[-1] for row in batch]


def scroll_chunks_of(
    connection: sqlite3.Connection, document_ids: Sequence[str], *, batch_size: int
) -> Iterator[list[tuple[StoredChunk, int, str]]]:
    """Yield the chunks of these documents with archive row and searched pieces, in batches."""
    found = connection.execute(
        f"SELECT {_STORED_CHUNK}, c.row, w.pieces FROM {_CHUNK_TABLES} WHERE c.document IN "
        "(SELECT key FROM documents WHERE id IN (SELECT value FROM json_each(?))) ORDER BY c.key",
        (json_text(document_ids),),
    )
    while batch := found.fetchmany(batch_size):
        yield [(_stored_chunk(row[:-2]), row[-2], row[-1]) for row in batch]


def load_records(
    connection: sqlite3.Connection, where: Where | None, *, offset: int, limit: int | None
) -> list[DocumentRecord]:
    """Return records ordered by source."""
    keys = document_keys(connection, where)
    condition = "" if keys is None else "WHERE d.key IN (SELECT value FROM json_each(:keys))"
    found = connection.execute(
        f"SELECT {_RECORD} FROM documents d {condition} ORDER BY d.source, d.id "
        "LIMIT :limit OFFSET :offset",
        {
            "keys": json_text(keys),
            "limit": -1 if limit is None else min(limit, _MOST),
            "offset": min(offset, _MOST),
        },
    )
    return [_record(row) for row in found]


def load_records_of(
    connection: sqlite3.Connection, document_ids: Sequence[str]
) -> list[DocumentRecord]:
    """Return the records of these documents; unknown ids are left out."""
    found = connection.execute(
        f"SELECT {_RECORD} FROM documents d WHERE d.id IN (SELECT value FROM json_each(?))",
        (json_text(document_ids),),
    )
    return [_record(row) for row in found]


def known_documents(connection: sqlite3.Connection) -> set[str]:
    """Return the ids of all documents."""
    return {document_id for (document_id,) in connection.execute("SELECT id FROM documents")}


def load_document(connection: sqlite3.Connection, document_id: str) -> Document | None:
    """Return a document with its text, or None."""
    found = connection.execute(
        f"SELECT {_RECORD}, t.text, t.sections FROM documents d "
        "JOIN document_texts t ON t.document = d.key WHERE d.id = ?",
        (document_id,),
    ).fetchone()
    if found is None:
        return None
    record = _record(found[:-2])
    return Document(
        id=record.id,
        source=record.source,
        text=zlib.decompress(found[-2]).decode("utf-8"),
        title=record.title,
        media_type=record.media_type,
        sections=tuple(
            Section(start, end, headings=tuple(headings), page=page)
            for start, end, page, headings in json.loads(found[-1])
        ),
        metadata=record.metadata,
    )


def document_keys(connection: sqlite3.Connection, where: Where | None) -> list[int] | None:
    """Return the keys of the documents that a filter allows, or None when it allows all."""
    if not where:
        return None
    conditions: list[tuple[str, str | float]] = []
    if where.media_types:
        types = json_text(where.media_types)
        conditions.append(("media_type IN (SELECT value FROM json_each(?))", types))
    if where.document_ids:
        ids = json_text(where.document_ids)
        conditions.append(("id IN (SELECT value FROM json_each(?))", ids))
    if where.modified_after is not None:
        conditions.append(("modified_at >= ?", where.modified_after))
    if where.modified_before is not None:
        conditions.append(("modified_at < ?", where.modified_before))
    found = connection.execute(
        f"SELECT key, source FROM documents WHERE {' AND '.join(['true', *dict(conditions)])}",
        [value for _, value in conditions],
    )
    return [key for key, source in found if where.matches_path(source)]


def chunk_rows(connection: sqlite3.Connection, chunk_ids: Sequence[str]) -> dict[str, int]:
    """Return the archive row of each chunk; unknown ids are left out."""
    return dict(
        connection.execute(
            "SELECT id, row FROM chunks WHERE id IN (SELECT value FROM json_each(?))",
            (json_text(chunk_ids),),
        ).fetchall()
    )


def chunks_of_rows(
    connection: sqlite3.Connection, rows: Sequence[int]
) -> list[tuple[int, str, int]]:
    """Return (row, chunk id, document key) of every chunk that uses one of the archive rows."""
    return connection.execute(
        "SELECT row, id, document FROM chunks WHERE row IN (SELECT value FROM json_each(?))",
        (json_text(rows),),
    ).fetchall()


def chunk_count(connection: sqlite3.Connection) -> int:
    """Return the number of chunks, without counting them."""
    return _state(connection, "chunks")


def current_change(connection: sqlite3.Connection) -> int:
    """Return the number of the last transaction that changed documents."""
    return _state(connection, "change")


def _state(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()[0])


def _stored_chunk(row: _StoredChunkRow) -> StoredChunk:
    chunk_id, text, start, end, page, context = row[:6]
    chunk = Chunk(chunk_id, row[6], text, start, end, page, context)
    return StoredChunk(chunk, _record(row[6:]))


def _record(row: tuple[str, str, str, str, float, int, int, str]) -> DocumentRecord:
    return DocumentRecord(*row[:-1], metadata=json.loads(row[-1]))


def json_text(value: object) -> str:
    """Return compact JSON: a list for SQLite's ``json_each``, or a value to store."""
    return json.dumps(value, default=list, separators=(",", ":"))
