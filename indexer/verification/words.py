"""Compares the index of words with the words themselves, which FTS5 alone can do.

It asks for a write transaction although it writes nothing, and reads every word: others cannot
write meanwhile. So it takes place only while nobody else is indexing.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from indexer.connections import connect, sqlite_errors
from indexer.verification.findings import Findings

__all__ = ["check_words", "words_damage"]


def check_words(findings: Findings, database: Path) -> None:
    """Note when the words of a content are not found where they stand.

    Raises:
        IndexerError: the database cannot be opened, or somebody writes to it for too long.
    """
    connection = connect(database, create=False)
    try:
        with sqlite_errors(database):
            damage = words_damage(connection)
    finally:
        connection.close()
    if damage:
        findings.add("words", database, f"the index of words is damaged: {damage}")


def words_damage(connection: sqlite3.Connection) -> str:
    """Return what is wrong with the index of words; nothing when all is well."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("INSERT INTO chunk_words(chunk_words) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        if (getattr(error, "sqlite_errorname", None) or "").startswith("SQLITE_CORRUPT"):
            return str(error)
        raise
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return ""
