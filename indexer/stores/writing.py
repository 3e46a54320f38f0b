"""Writes documents and chunks into the collection's database, whole documents at a time.

Knows SQL and the values of ``indexer.documents``. Every function works inside a write transaction
of the caller, and notes which archive rows and which documents indexes have to take in or let go.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence

from indexer.documents import Chunk, Document, Section
from indexer.searching.words import pieces
from indexer.stores.digests import ChunkValues, content_digest, record_digest
from indexer.stores.reading import json_text

__all__ = ["delete_documents", "replace_document", "seal_record", "set_modified_at"]


def replace_document(
    connection: sqlite3.Connection,
    document: Document,
    chunks: Sequence[Chunk],
    rows: Sequence[int],
    *,
    modified_at: float,
    size_bytes: int,
) -> None:
    """Make ``chunks`` with their archive ``rows`` the whole content of ``document``.

    Raises:
        ValueError: chunks, rows and document do not belong together.
    """
    _check_content(document, chunks, rows)
    old_rows = _remove(connection, document.id)
    sections = _sections_json(document.sections)
    values = [_chunk_values(chunk) for chunk in chunks]
    content = content_digest(document.text, sections, values)
    (key,) = connection.execute(
        "INSERT INTO documents (id, source, title, media_type, modified_at, size_bytes, chunks, "
        "metadata, content_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING key",
        (
            document.id,
            document.source,
            document.title,
            document.media_type,
            modified_at,
            size_bytes,
            len(chunks),
            json_text(dict(document.metadata)),
            content,
        ),
    ).fetchone()
    connection.execute(
        "INSERT INTO document_texts VALUES (?, ?, ?)",
        (key, zlib.compress(document.text.encode("utf-8")), sections),
    )
    _insert_chunks(connection, key, values, rows)
    seal_record(connection, document.id)
    _add_to_state(connection, "chunks", len(chunks))
    _note_change(connection, old_rows ^ set(rows))
    _note_content(connection, [document.id])


def set_modified_at(connection: sqlite3.Connection, document_id: str, modified_at: float) -> None:
    """Replace a document's modification time; indexes have nothing to take in."""
    connection.execute(
        "UPDATE documents SET modified_at = ? WHERE id = ?", (modified_at, document_id)
    )
    seal_record(connection, document_id)
    connection.execute(
        "INSERT OR REPLACE INTO document_changes (document, content) "
        "SELECT document, ifnull(content, sequence) FROM document_changes WHERE document = ?",
        (document_id,),
    )


def delete_documents(connection: sqlite3.Connection, document_ids: Sequence[str]) -> int:
    """Remove documents with their chunks; return how many there were."""
    rows: set[int] = set()
    found = connection.execute(
        "SELECT id FROM documents WHERE id IN (SELECT value FROM json_each(?))",
        (json_text(document_ids),),
    ).fetchall()
    for (document_id,) in found:
        rows |= _remove(connection, document_id)
    if found:
        _note_change(connection, rows)
        _note_content(connection, [document_id for (document_id,) in found])
    return len(found)


def _check_content(document: Document, chunks: Sequence[Chunk], rows: Sequence[int]) -> None:
    if len(chunks) != len(rows):
        raise ValueError(f"{document.source}: {len(chunks)} chunks but {len(rows)} rows")
    if len({chunk.id for chunk in chunks}) != len(chunks):
        raise ValueError(f"{document.source}: two chunks have the same id")
    for chunk in chunks:
        if chunk.document_id != document.id:
            raise ValueError(f"{document.source}: chunk {chunk.id} is of another document")
        if chunk.text != document.text[chunk.start : chunk.end]:
            raise ValueError(f"{document.source}: chunk {chunk.id} is not the text at its offsets")


def _chunk_values(chunk: Chunk) -> ChunkValues:
    searched = pieces(f"{chunk.context}\n{chunk.text}")
    return (chunk.id, chunk.start, chunk.end, chunk.page, chunk.context, chunk.text, searched)


def _insert_chunks(
    connection: sqlite3.Connection,
    document: int,
    chunks: Sequence[ChunkValues],
    rows: Sequence[int],
) -> None:
    (last_key,) = connection.execute("SELECT ifnull(max(key), 0) FROM chunks").fetchone()
    keyed = list(enumerate(chunks, start=last_key + 1))
    connection.executemany(
        "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (key, identity, document, start, end, page, row)
            for (key, (identity, start, end, page, *_)), row in zip(keyed, rows, strict=True)
        ],
    )
    connection.executemany(
        "INSERT INTO chunk_words (rowid, context, text, pieces) VALUES (?, ?, ?, ?)",
        [(key, *words) for key, (_, _, _, _, *words) in keyed],
    )


def seal_record(connection: sqlite3.Connection, document_id: str) -> None:
    """Note the checksum of a document's record; one of before there were any keeps none."""
    found = connection.execute(
        "SELECT content_sha256, id, source, title, media_type, modified_at, size_bytes, metadata "
        "FROM documents WHERE id = ? AND content_sha256 IS NOT NULL",
        (document_id,),
    ).fetchone()
    if found is not None:
        connection.execute(
            "UPDATE documents SET record_sha256 = ? WHERE id = ?",
            (record_digest(*found), document_id),
        )


def _remove(connection: sqlite3.Connection, document_id: str) -> set[int]:
    """Delete a document if there is one; return the archive rows that its chunks used."""
    found = connection.execute(
        "SELECT c.key, c.row FROM chunks c JOIN documents d ON d.key = c.document WHERE d.id = ?",
        (document_id,),
    ).fetchall()
    connection.executemany("DELETE FROM chunk_words WHERE rowid = ?", [(key,) for key, _ in found])
    connection.execute(
        "DELETE FROM documents WHERE id = ?", (document_id,)
    )  # and what refers to it
    _add_to_state(connection, "chunks", -len(found))
    return {row for _, row in found}


def _note_change(connection: sqlite3.Connection, rows: set[int]) -> None:
    _add_to_state(connection, "change", 1)
    connection.executemany(
        "INSERT INTO row_changes SELECT value, ? FROM state WHERE name = 'change'",
        [(row,) for row in sorted(rows)],
    )


def _note_content(connection: sqlite3.Connection, document_ids: Sequence[str]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO document_changes (document) VALUES (?)",
        [(document_id,) for document_id in document_ids],
    )


def _add_to_state(connection: sqlite3.Connection, name: str, amount: int) -> None:
    connection.execute("UPDATE state SET value = value + ? WHERE name = ?", (amount, name))


def _sections_json(sections: Sequence[Section]) -> str:
    return json_text([[part.start, part.end, part.page, part.headings] for part in sections])
