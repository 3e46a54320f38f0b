"""Compares the index of words with the words themselves, which FTS5 alone can do.

It asks for a write transaction although it writes nothing, and reads every word: others cannot
write meanwhile. So it takes place only while nobody else is indexing.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from indexer.storage.connections import connect, sqlite_errors
from indexer.verification.findings import Findings

__all__ = ["WORDS_DAMAGED", "check_words"]

WORDS_DAMAGED = "the index of words is not that of the words"


def check_words(findings: Findings, database: Path) -> None:
    """Note when the words of a content are not found where they stand.

    Raises:
        IndexerError: the database cannot be opened, or somebody writes to it for too long.
    """
    connection = connect(database, create=False)
    try:
        with sqlite_errors(database):
            is_damaged = _is_damaged(connection)
    finally:
        connection.close()
    if is_damaged:
        findings.add("words", database, WORDS_DAMAGED)


def _is_damaged(connection: sqlite3.Connection) -> bool:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("INSERT INTO chunk_words(chunk_words) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        if (getattr(error, "sqlite_errorname", None) or "").startswith("SQLITE_CORRUPT"):
            return True
        raise
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return False
