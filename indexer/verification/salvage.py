"""Copies what can be read of a damaged database into a new one.

Row by row, from both ends of a table towards the damage; rows that refer to nothing are left out,
and the index of words is made anew. What was altered without SQLite noticing is copied as it is:
the checksums that come along tell which documents that are.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from indexer.storage.connections import connect
from indexer.storage.database import Database

__all__ = ["salvage"]

_TABLES = {  # name: key, in an order in which everything refers to what is there already
    "state": "name",
    "files": "path",
    "vectors": "row",
    "vector_batches": "first_row",
    "index_files": "name",
    "documents": "key",
    "document_texts": "document",
    "chunks": "key",
}
_WORDS = "chunk_words_content"
_COUNTERS = ("chunks", "change", "change_floor")

_FAULTS = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged database raises; the latter where SQLite's message quotes the damage."""

_Row = tuple[Any, ...]


def salvage(damaged: Path, target: Path) -> Counter[str]:
    """Fill a new, empty database with what can be read of a damaged one.

    Args:
        damaged: its file; only read.
        target: file of the new one.

    Returns:
        How many rows of each table were there and could not be taken over, as far as that shows.

    Raises:
        IndexerError: the damaged file cannot be opened at all, or the disk is full.
    """
    lost: Counter[str] = Counter()
    reading = connect(damaged, read_only=True)
    reading.text_factory = lambda text: text.decode("utf-8", "replace")
    with closing(reading), closing(Database(target)) as database, database.write() as writing:
        change = _change(reading)
        for table, key in _TABLES.items():
            _copy(reading, writing, table, key, lost)
        _copy_words(reading, writing, lost)
        _settle(writing, change)
    return lost


def _copy(
    reading: sqlite3.Connection,
    writing: sqlite3.Connection,
    table: str,
    key: str,
    lost: Counter[str],
) -> None:
    columns = [name for name in _columns(reading, table) if name in _columns(writing, table)]
    if key not in columns:
        return  # of a version without this table, or nothing is left of it
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})"
    position = columns.index(key)
    for row in _rows(reading, table, columns, position, lost):
        if table != "state" or row[position] not in _COUNTERS:
            _insert(writing, statement, row, table, lost)


def _copy_words(
    reading: sqlite3.Connection, writing: sqlite3.Connection, lost: Counter[str]
) -> None:
    statement = (
        "INSERT INTO chunk_words (rowid, context, text, pieces) SELECT ?1, ?2, ?3, ?4 "
        "WHERE EXISTS (SELECT 1 FROM chunks WHERE key = ?1) AND ?2 IS NOT NULL AND ?3 IS NOT NULL"
    )
    for row in _rows(reading, _WORDS, ["id", "c0", "c1", "c2"], 0, lost):
        _insert(writing, statement, row, "chunk_words", lost)


def _insert(
    writing: sqlite3.Connection, statement: str, row: _Row, table: str, lost: Counter[str]
) -> None:
    try:
        is_taken = writing.execute(statement, row).rowcount == 1
    except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.DataError):
        is_taken = False
    lost[table] += not is_taken and table != "state"  # a new database has some of its own


def _rows(
    reading: sqlite3.Connection, table: str, columns: list[str], key: int, lost: Counter[str]
) -> Iterator[_Row]:
    """Yield the rows that can be read, up to the damage from either end."""
    question = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[key]}"
    last: Any = None
    try:
        for row in reading.execute(question):
            last = row[key]
            yield row
    except _FAULTS:
        lost[table] += 1  # at the least
    else:
        return
    try:
        for row in reading.execute(f"{question} DESC"):
            if last is not None and row[key] <= last:
                return
            yield row
    except (*_FAULTS, TypeError):
        return


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    try:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    except _FAULTS:
        return []


def _change(reading: sqlite3.Connection) -> int:
    try:
        found = reading.execute("SELECT value FROM state WHERE name = 'change'").fetchone()
        return int(found[0])
    except (*_FAULTS, TypeError, ValueError):
        return 0


def _settle(writing: sqlite3.Connection, change: int) -> None:
    """Make counts and numbers agree with what was taken over."""
    writing.execute(
        "DELETE FROM chunks WHERE NOT EXISTS "
        "(SELECT 1 FROM chunk_words_docsize w WHERE w.id = chunks.key)"
    )
    writing.execute(
        "DELETE FROM documents WHERE NOT EXISTS "
        "(SELECT 1 FROM document_texts t WHERE t.document = documents.key)"
    )
    writing.execute(
        "DELETE FROM chunk_words WHERE NOT EXISTS "
        "(SELECT 1 FROM chunks c WHERE c.key = chunk_words.rowid)"
    )
    writing.execute(
        "UPDATE documents SET chunks = (SELECT count(*) FROM chunks c "
        "WHERE c.document = documents.key)"
    )
    (chunks,) = writing.execute("SELECT count(*) FROM chunks").fetchone()
    # Indexes compare themselves with the whole of what there is now.
    numbers = {"chunks": chunks, "change": change + 1, "change_floor": change + 1}
    for name, value in numbers.items():
        writing.execute("UPDATE state SET value = ? WHERE name = ?", (value, name))
    writing.execute(
        "INSERT OR IGNORE INTO document_changes (document) SELECT id FROM documents ORDER BY key"
    )
