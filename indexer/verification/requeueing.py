"""Sends documents whose content is damaged back to the queue, so that the next run reads them anew.

They stay searchable as they are until then. Their rows in the ledger lose the checksum of the file:
without it no run takes the stored content for the file's.
"""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from collections.abc import Iterable

from indexer.storage.database import Database
from indexer.storage.ledger import STATES
from indexer.stores.digests import content_digest
from indexer.stores.writing import seal_record
from indexer.verification.documents import altered_documents, id_of_source
from indexer.verification.relations import garbled_rows

__all__ = ["add_digests", "requeue_damaged"]

_CHUNKS = (
    "SELECT c.id, c.start, c.end, c.page, w.c0, w.c1, w.c2 FROM chunks c "
    "JOIN chunk_words_content w ON w.id = c.key WHERE c.document = ? ORDER BY c.key"
)
_STATES = ", ".join(f"'{state}'" for state in STATES)
_EMPTIED = (
    "state = 'queued', size = NULL, mtime_ns = NULL, sha256 = NULL, code = NULL, message = NULL, "
    "hint = NULL"
)


def requeue_damaged(database: Database) -> int:
    """Queue every document that is not what was stored, and set the ledger right about the others.

    Returns:
        How many files are to be read again; 0 where nothing had to be changed.

    Raises:
        CollectionBusyError, StorageError: the database cannot be written.
    """
    with database.write() as connection:
        decode, connection.text_factory = connection.text_factory, _decoded
        try:
            _restore_names(connection)
            altered = [one.id for one in altered_documents(connection)]
            changed = _queue(connection, altered) + _settle_ledger(connection)
        finally:
            connection.text_factory = decode
        (waiting,) = connection.execute(
            "SELECT count(*) FROM files WHERE state = 'queued' AND sha256 IS NULL"
        ).fetchone()
    return int(waiting) if changed else 0


def add_digests(database: Database) -> int:
    """Give checksums to sound documents that were stored before there were any.

    Returns:
        How many got one.

    Raises:
        CollectionBusyError, StorageError: the database cannot be written.
    """
    with database.write() as connection:
        lacking = connection.execute(
            "SELECT d.key, d.id, t.text, t.sections FROM documents d "
            "JOIN document_texts t ON t.document = d.key WHERE d.content_sha256 IS NULL"
        ).fetchall()
        altered = {one.id for one in altered_documents(connection)} if lacking else set()
        sound = [row for row in lacking if row[1] not in altered]
        for key, identity, packed, sections in sound:
            chunks = connection.execute(_CHUNKS, (key,)).fetchall()
            content = content_digest(zlib.decompress(packed).decode("utf-8"), sections, chunks)
            connection.execute(
                "UPDATE documents SET content_sha256 = ? WHERE key = ?", (content, key)
            )
            seal_record(connection, identity)
    return len(sound)


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _restore_names(connection: sqlite3.Connection) -> None:
    """Put right which file a document is of, where the ledger knows."""
    files = connection.execute("SELECT source, document_id FROM files").fetchall()
    known = {identity: source for source, identity in files if identity == id_of_source(source)}
    documents = connection.execute("SELECT key, id, source FROM documents").fetchall()
    for key, identity, source in documents:
        if identity == id_of_source(source):
            continue
        right = id_of_source(source)
        if identity in known:
            statement, value = "UPDATE documents SET source = ? WHERE key = ?", known[identity]
        elif right in known:
            statement, value = "UPDATE OR IGNORE documents SET id = ? WHERE key = ?", right
        else:
            continue
        connection.execute(statement, (value, key))


def _queue(connection: sqlite3.Connection, document_ids: Iterable[str]) -> int:
    statement = f"UPDATE files SET {_EMPTIED} WHERE document_id = CAST(? AS TEXT)"
    # as bytes: an id may itself be what was altered
    ids = [one.encode("utf-8", "surrogateescape") for one in document_ids]
    return sum(connection.execute(statement, (one,)).rowcount for one in ids)


def _settle_ledger(connection: sqlite3.Connection) -> int:
    files = connection.execute("SELECT path, source, document_id FROM files").fetchall()
    strangers = [(path,) for path, source, one in files if one != id_of_source(source)]
    connection.executemany("DELETE FROM files WHERE path = ?", strangers)
    garbled = [(path,) for path in garbled_rows(connection)]
    connection.executemany(f"UPDATE files SET {_EMPTIED} WHERE path = ?", garbled)
    wrong = connection.execute(
        f"UPDATE files SET {_EMPTIED}, "
        "chunks = ifnull((SELECT d.chunks FROM documents d WHERE d.id = files.document_id), 0) "
        "WHERE chunks IS NOT "
        "ifnull((SELECT d.chunks FROM documents d WHERE d.id = files.document_id), 0) "
        f"OR state NOT IN ({_STATES})"
    ).rowcount
    unknown = connection.execute(
        "SELECT source, id, chunks FROM documents d "
        "WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.document_id = d.id)"
    ).fetchall()
    now = time.time()
    connection.executemany(
        "INSERT OR IGNORE INTO files (path, source, document_id, state, chunks, updated_at) "
        "VALUES (?, ?, ?, 'queued', ?, ?)",
        [
            (os.fsencode(source), source, one, chunks, now)
            for source, one, chunks in unknown
            if one == id_of_source(source)
        ],
    )
    return wrong + len(unknown) + len(garbled)
