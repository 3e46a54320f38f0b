"""Examines the file of a content's database: its seal, its log, its structure and its tables' form.

Knows bytes and SQLite's own checks; what the rows mean is examined elsewhere.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.storage.connections import connect, sqlite_errors, wal_file
from indexer.storage.schema import MIGRATIONS
from indexer.storage.seal import Seal, file_digest, read_seal, seal_path
from indexer.verification.findings import Findings
from indexer.verification.write_ahead_log import log_damage

__all__ = ["check_bytes", "check_log", "check_structure", "has_own_tables", "reading"]

_MOST_ERRORS = 5
_MOST_LOOKS = 3
_SECOND_LOOK_S = 0.3
_SHADOW = "chunk_words_"  # tables behind FTS5, whose form is SQLite's affair


def check_bytes(findings: Findings, database: Path) -> bool | None:
    """Compare a database's file with its seal; return whether it holds, None where there is none.

    While others write, the seal goes and comes: only one that is there before and after the file
    was read says something about it.
    """
    try:
        for _ in range(_MOST_LOOKS):
            seal = read_seal(database)
            if seal is None:
                break
            actual = Seal(database.stat().st_size, file_digest(database))
            if actual == seal:
                return True
            if read_seal(database) == seal:
                findings.add("database", database, _difference(actual, seal))
                return False
    except ValueError as error:
        findings.add("database", seal_path(database), str(error))
        return False
    except OSError as error:
        findings.add("database", database, f"cannot be read: {error.strerror}")
        return False
    findings.remarks.append(
        f"{findings.file(database)} has no seal, as it is in use or was left by a killed run: its "
        "documents, words and vectors were compared, unused bytes were not"
    )
    return None


def check_log(findings: Findings, database: Path) -> bool:
    """Note damage in a database's write-ahead log; return whether there is none.

    To be called before SQLite opens the database: it would drop the damaged part of the log.
    """
    log = wal_file(database)
    try:
        before = _stamp(log)
        damage = log_damage(log)
        if damage:
            time.sleep(_SECOND_LOOK_S)  # else it may only have been read while it was written
            damage = log_damage(log) if _stamp(log) == before else ""
    except OSError as error:
        damage = f"cannot be read: {error.strerror}"
    if damage:
        findings.add("log", log, damage)
    return not damage


@contextmanager
def reading(database: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """Give a connection that sees one state of a database, texts with altered bytes included.

    Args:
        database: its file.
        read_only: do not even bring an older one up to date.

    Raises:
        IndexerError, sqlite3.Error: it cannot be opened, or is too damaged to be read on.
    """
    connection = connect(database, read_only=read_only, create=False)
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    try:
        with sqlite_errors(database):
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield connection
    finally:
        connection.close()


def check_structure(connection: sqlite3.Connection, findings: Findings, database: Path) -> None:
    """Note what SQLite finds wrong with its own structures, and tables that are not ours."""
    lines = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({_MOST_ERRORS})")]
    if lines != ["ok"]:
        what = " ".join("; ".join(lines).split())
        findings.add("database", database, f"SQLite finds it damaged: {what}")
    if not has_own_tables(connection):
        findings.add("database", database, "its tables are not those of this program")


def has_own_tables(connection: sqlite3.Connection) -> bool:
    """Return whether a database has this program's tables, indexes and nothing else."""
    own = sqlite3.connect(":memory:")
    try:
        for migration in MIGRATIONS:
            for statement in migration:
                own.execute(statement)
        return _schema(connection) == _schema(own)
    finally:
        own.close()


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("SELECT type, name, ifnull(sql, '') FROM sqlite_schema").fetchall()
    return {
        (kind, name, "" if name.startswith(_SHADOW) else sql)
        for kind, name, sql in rows
        if not name.startswith("sqlite_")  # SQLite's own, such as its book of AUTOINCREMENT numbers
    }


def _difference(actual: Seal, seal: Seal) -> str:
    if actual.size != seal.size:
        return f"it has {actual.size:,} bytes, {seal.size:,} were written"
    return "its bytes are not those that were written"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status: os.stat_result = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
