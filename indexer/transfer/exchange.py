"""The database inside an archive: plain tables, in a form of its own that outlives our schema.

It holds what cannot be made again and nothing else: no index of words, no leftovers of what was
deleted. Reading it trusts nothing: the file is a stranger's.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from indexer.errors import StorageError
from indexer.storage.connections import connect, sqlite_errors
from indexer.storage.ledger import STATES
from indexer.storage.seal import break_seal

__all__ = ["Exchanged", "read_exchange", "write_exchange"]

_APPLICATION_ID = 0x47495245
_VERSION = 1
_LONGEST_VALUE = 2**28  # bytes; no text of a document is longer
_TIMES = f"{-(2**35)} AND {2**36}"  # seconds from the epoch; what a calendar can show
_STATES = ", ".join(f"'{state}'" for state in STATES)
_STATE_NAMES = "'dim', 'vectors', 'search_dense_weight', 'search_steps'"

_TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    # name: (column, what it must hold); the first column is the key
    "files": (
        ("path", "blob"),
        ("source", "text"),
        ("document_id", "text"),
        ("size", "integer null"),
        ("mtime_ns", "integer null"),
        ("sha256", "text null"),
        ("state", "text"),
        ("code", "text null"),
        ("message", "text null"),
        ("hint", "text null"),
        ("chunks", "integer"),
        ("updated_at", "real"),
    ),
    "state": (("name", "text"), ("value", "integer real text")),
    "vectors": (("row", "integer"), ("hash", "blob")),
    "vector_batches": (("first_row", "integer"), ("rows", "integer"), ("sha256", "blob")),
    "documents": (
        ("key", "integer"),
        ("id", "text"),
        ("source", "text"),
        ("title", "text"),
        ("media_type", "text"),
        ("modified_at", "real"),
        ("size_bytes", "integer"),
        ("chunks", "integer"),
        ("metadata", "text"),
        ("content_sha256", "blob null"),
        ("record_sha256", "blob null"),
    ),
    "document_texts": (("document", "integer"), ("text", "blob"), ("sections", "text")),
    "chunks": (
        ("key", "integer"),
        ("id", "text"),
        ("document", "integer"),
        ("start", "integer"),
        ("end", "integer"),
        ("page", "integer null"),
        ("row", "integer"),
    ),
    "words": (("key", "integer"), ("context", "text"), ("text", "text"), ("pieces", "text")),
}

_FROM_OURS = {  # where a table's rows come from, if not from one of the same columns
    "state": f"SELECT name, value FROM ours.state WHERE name IN ({_STATE_NAMES})",
    "words": "SELECT id, c0, c1, c2 FROM ours.chunk_words_content",
}
_INTO_OURS = {
    "state": "INSERT OR REPLACE INTO main.state (name, value)",
    "words": "INSERT INTO main.chunk_words (rowid, context, text, pieces)",
}
_REFUSED = (
    (f"SELECT 1 FROM theirs.state WHERE name NOT IN ({_STATE_NAMES})", "unknown settings"),
    (f"SELECT 1 FROM theirs.files WHERE state NOT IN ({_STATES})", "unknown states of files"),
    (
        f"SELECT 1 FROM theirs.files WHERE updated_at NOT BETWEEN {_TIMES}",
        "values in files.updated_at that are no times",
    ),
    (
        f"SELECT 1 FROM theirs.documents WHERE modified_at NOT BETWEEN {_TIMES}",
        "values in documents.modified_at that are no times",
    ),
)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What was written into a file for exchange.

    Args:
        rows: how many rows of vectors it knows.
        documents: how many have passages.
        chunks: these passages.
    """

    rows: int
    documents: int
    chunks: int


def write_exchange(database: Path, target: Path) -> Exchanged:
    """Write what a content's database holds, as it is at one moment, into a new file.

    Raises:
        StorageError: the disk is full, or the database cannot be read.
    """
    connect(database, create=False).close()  # brings one of an older version up to date
    with _opened(target, "rwc") as connection, sqlite_errors(target):
        for name in _TABLES:
            connection.execute(_definition(name))
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("ATTACH ? AS ours", (_address(database, "mode=ro"),))
        connection.execute("BEGIN")
        for name, columns in _TABLES.items():
            names = ", ".join(column for column, _ in columns)
            source = _FROM_OURS.get(name, f"SELECT {names} FROM ours.{name}")
            connection.execute(f"INSERT INTO main.{name} {source}")
        connection.execute("COMMIT")
        (rows,) = connection.execute("SELECT ifnull(max(row), -1) + 1 FROM main.vectors").fetchone()
        documents, chunks = connection.execute(
            "SELECT total(chunks > 0), total(chunks) FROM main.files"
        ).fetchone()
        return Exchanged(rows=int(rows), documents=int(documents), chunks=int(chunks))


def read_exchange(source: Path, database: Path) -> None:
    """Take a stranger's file into a new, empty database of our own making.

    Raises:
        StorageError: it is not what ``write_exchange`` writes, or the disk is full.
    """
    connection = connect(database, create=False)
    try:
        with sqlite_errors(database):
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA foreign_keys = OFF")  # what refers to nothing is found later
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            address = _address(source, "mode=ro&immutable=1")
            connection.execute("ATTACH ? AS theirs", (address,))
            _check(connection, source)
            connection.execute("BEGIN IMMEDIATE")
            break_seal(database)
            _take(connection)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StorageError(f"{source.name} in the archive makes no sense: {error}") from error
    finally:
        connection.close()


def _check(connection: sqlite3.Connection, source: Path) -> None:
    refusal = _refusal(connection)
    if refusal:
        raise StorageError(f"{source.name} in the archive {refusal}; it is not imported")


def _refusal(connection: sqlite3.Connection) -> str:
    (owner,) = connection.execute("PRAGMA theirs.application_id").fetchone()
    (version,) = connection.execute("PRAGMA theirs.user_version").fetchone()
    if owner != _APPLICATION_ID:
        return "is a database of another kind"
    if version != _VERSION:
        return f"has format {version}, this program reads {_VERSION}: upgrade gircse-search"
    tables = connection.execute("SELECT type, name, sql FROM theirs.sqlite_schema").fetchall()
    own = {("table", name, _definition(name)) for name in _TABLES}
    if {(kind, name, sql) for kind, name, sql in tables} != own:
        return "has other tables than it should"
    (result,) = connection.execute("PRAGMA theirs.quick_check(1)").fetchone()
    if result != "ok":
        return f"is damaged ({result})"
    for name, columns in _TABLES.items():
        for column, kinds in columns:
            allowed = ", ".join(f"'{kind}'" for kind in kinds.split())
            question = f"SELECT 1 FROM theirs.{name} WHERE typeof({column}) NOT IN ({allowed})"
            if connection.execute(f"{question} LIMIT 1").fetchone():
                return f"has values in {name}.{column} that make no sense"
    for question, what in _REFUSED:
        if connection.execute(f"{question} LIMIT 1").fetchone():
            return f"has {what}"
    return ""


def _take(connection: sqlite3.Connection) -> None:
    for name, columns in _TABLES.items():
        names = ", ".join(column for column, _ in columns)
        into = _INTO_OURS.get(name, f"INSERT INTO main.{name} ({names})")
        connection.execute(f"{into} SELECT {names} FROM theirs.{name} ORDER BY {columns[0][0]}")
    connection.execute(
        "UPDATE main.state SET value = (SELECT count(*) FROM main.chunks) WHERE name = 'chunks'"
    )
    connection.execute(
        "INSERT INTO main.document_changes (document) SELECT id FROM main.documents ORDER BY key"
    )


def _definition(name: str) -> str:
    columns = []
    for number, (column, kinds) in enumerate(_TABLES[name]):
        first = kinds.split()[0] if len(kinds.split()) < 3 else ""
        rule = "PRIMARY KEY" if number == 0 else "" if "null" in kinds else "NOT NULL"
        columns.append(" ".join(filter(None, (column, first.upper(), rule))))
    # else SQLite makes an index of its own for the key
    end = "" if _TABLES[name][0][1] == "integer" else " WITHOUT ROWID"
    return f"CREATE TABLE {name} ({', '.join(columns)}){end}"


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(_address(path, f"mode={mode}"), uri=True, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _address(path: Path, query: str) -> str:
    return f"file:{quote(os.fsencode(path.absolute()))}?{query}"
