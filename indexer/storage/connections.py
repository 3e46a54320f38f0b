"""Opens a collection's SQLite file: schema version, migrations, errors in plain words.

Knows no tables: those are in ``indexer.storage.schema``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from indexer.errors import CollectionBusyError, FormatVersionError, StorageError
from indexer.storage.schema import APPLICATION_ID, MIGRATIONS
from indexer.storage.seal import break_seal
from indexer.storage.segments import free_space

__all__ = ["BUSY_TIMEOUT_S", "connect", "sqlite_errors", "tidy", "wal_file"]

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another process's transaction to end; readers never wait."""

_OLDEST_SQLITE = (3, 35, 0)  # RETURNING

_ADVICE = {
    "SQLITE_CORRUPT": "it is damaged: restore it from a backup, or delete the collection and index "
    "the files again",
    "SQLITE_NOTADB": "it is damaged: restore it from a backup, or delete the collection and index "
    "the files again",
    "SQLITE_FULL": "free some space and run it again",
    "SQLITE_IOERR": "free some space or check the disk, then run it again",
    "SQLITE_READONLY": "this user or this disk does not allow writing: change the permissions, or "
    "choose another home",
    "SQLITE_PERM": "change the permissions, or choose another home",
    "SQLITE_CANTOPEN": "check that the folder exists and that this user may read and write it",
    "SQLITE_PROTOCOL": "this file system does not lock files as SQLite needs: use a local disk",
}
_OF_SPACE = ("SQLITE_FULL", "SQLITE_IOERR")

_Access = Literal["create", "write", "read", "immutable"]
_URI_QUERIES: dict[_Access, str] = {
    "create": "mode=rwc",
    "write": "mode=rw",
    "read": "mode=ro",
    "immutable": "mode=ro&immutable=1",
}


def connect(path: Path, *, read_only: bool = False, create: bool = True) -> sqlite3.Connection:
    """Open a collection's database, migrating it unless ``read_only``.

    The connection is in autocommit mode and may be handed from thread to thread, but is used by one
    at a time; ``Database`` sees to that.

    Args:
        path: the database file.
        read_only: never write.
        create: make the file if it is absent; without effect where ``read_only``.

    Raises:
        FormatVersionError: a newer version of the program wrote it, or an older one did and
            ``read_only`` forbids the migration.
        StorageError: it is absent, damaged, of another program, or cannot be written.
    """
    if not read_only:
        return _open(path, "create" if create else "write")
    try:
        return _open(path, "read")
    except StorageError:
        # Where this user may not create the -shm file, SQLite reads a database in WAL mode only if
        # told that nobody writes to it; without a -wal file that is so, and Database.read() checks.
        if not path.is_file() or wal_file(path).exists():
            raise
        return _open(path, "immutable")


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite reports about the file at ``path`` into errors that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        explained = _explained(error, path)
        if explained is None:
            raise
        raise explained from error


def _explained(
    error: sqlite3.DatabaseError, path: Path
) -> StorageError | CollectionBusyError | None:
    """Return what to raise instead; None for a fault of the program, not of the disk."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return CollectionBusyError(
            f"{path}: another process has been writing for {BUSY_TIMEOUT_S:.0f} s; "
            "try again when it has finished"
        )
    for prefix, advice in _ADVICE.items():
        if name.startswith(prefix):
            free = f" ({free_space(path)})" if prefix in _OF_SPACE else ""
            return StorageError(f"{path}: {error}{free}; {advice}")
    return None


def tidy(path: Path) -> None:
    """Remove what reading connections left beside a database that nobody has open any more."""
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(path)) as connection:
        # The last connection that may write removes the log and its index when it is closed.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def wal_file(path: Path) -> Path:
    """Return the write-ahead log beside a database."""
    return path.with_name(f"{path.name}-wal")


def _open(path: Path, access: _Access) -> sqlite3.Connection:
    with sqlite_errors(path):
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path.absolute()))}?{_URI_QUERIES[access]}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # transactions are begun by hand
            check_same_thread=False,
        )
    try:
        with sqlite_errors(path):
            _prepare(connection, path, access)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, access: _Access) -> None:
    _check_sqlite(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    version = _version(connection, path)
    may_write = access in ("create", "write")
    if version < len(MIGRATIONS) and not may_write:
        raise FormatVersionError(
            f"{path} has format {version}, this program reads {len(MIGRATIONS)}; "
            "index into the collection once to bring it up to date"
        )
    if may_write:
        # FULL: a commit survives a power cut. What it costs is small beside the embedding.
        connection.execute("PRAGMA synchronous = FULL")
        if version < len(MIGRATIONS):
            _enable_wal(connection, path)
            _migrate(connection, path)


def _check_sqlite(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("SELECT fts5_source_id(), count(*) FROM json_each('[]')")
        lacking = sqlite3.sqlite_version_info < _OLDEST_SQLITE
    except sqlite3.OperationalError as error:
        if (getattr(error, "sqlite_errorname", "") or "") != "SQLITE_ERROR":
            raise  # of the file: it cannot be read or may not be
        lacking = True
    if lacking:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        raise StorageError(
            f"this Python comes with SQLite {sqlite3.sqlite_version}; {oldest} or newer with FTS5 "
            "and JSON functions is needed: install another Python"
        )


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if owner != APPLICATION_ID and (tables or version):
        raise StorageError(f"{path} is a database of another program; choose another folder")
    if version > len(MIGRATIONS):
        raise FormatVersionError(
            f"{path} has format {version}, this program knows up to {len(MIGRATIONS)}; "
            "upgrade gircse-search, or index the files into a new collection"
        )
    return version


def _enable_wal(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StorageError(
            f"{path}: this file system does not allow SQLite's WAL mode (it offers {mode!r}), "
            "without which searching and indexing block each other; use a folder on a local disk"
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        break_seal(path)
        # Another process may have migrated while this one waited.
        for number in range(_version(connection, path), len(MIGRATIONS)):
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
