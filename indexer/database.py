"""A collection's SQLite file: connections, transactions, schema version, errors in plain words.

One file holds ledger, archive map, payloads and words, so that what belongs together is committed
together. Knows nothing of what the tables mean.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from indexer.errors import CollectionBusyError, FormatVersionError, StorageError
from indexer.schema import APPLICATION_ID, MIGRATIONS

__all__ = ["BUSY_TIMEOUT_S", "Database", "connect", "sqlite_errors"]

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another process's transaction to end; readers never wait."""

_OLDEST_SQLITE = (3, 35, 0)  # RETURNING

_Access = Literal["write", "read", "immutable"]


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a collection's database, creating or migrating it unless ``read_only``.

    The connection is in autocommit mode and may be handed from thread to thread, but is used by one
    at a time; ``Database`` sees to that.

    Raises:
        FormatVersionError: a newer version of the program wrote it, or an older one did and
            ``read_only`` forbids the migration.
        StorageError: it is absent, damaged, of another program, or cannot be written.
    """
    if not read_only:
        return _open(path, "write")
    try:
        return _open(path, "read")
    except StorageError:
        # Where this user may not create the -shm file, SQLite reads a database in WAL mode only if
        # told that nobody writes to it; without a -wal file that is so, and Database.read() checks.
        if not path.is_file() or _wal(path).exists():
            raise
        return _open(path, "immutable")


class Database:
    """A pool of connections to one database, safe to share between threads.

    Args:
        path: the database file.
        read_only: never write, and open what this user may only read.

    Raises:
        FormatVersionError, StorageError: as for ``connect``.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._idle: deque[sqlite3.Connection] = deque()
        self._stamp: tuple[int, int, int] | None = None
        self._closed = False
        self._writing = threading.Lock()
        self._thread = threading.local()
        with self._connection():
            pass  # fails now rather than at the first use

    @contextmanager
    def read(self, *, committed: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the database until the block ends.

        Inside this thread's own ``write()`` block it sees what that has written so far, unless
        ``committed`` asks for the state that everybody sees.
        """
        writer = self._writer()
        if writer is not None and not committed:
            yield writer
            return
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a write transaction: all of the block is kept, or nothing.

        A block inside a block of the same thread joins it: if the inner one raises, what it wrote
        is undone; the outermost one commits.

        Raises:
            CollectionBusyError: another process kept writing for ``BUSY_TIMEOUT_S``.
            StorageError: the disk is full, read-only or damaged; nothing of the block was kept.
        """
        outer = self._writer()
        if outer is not None:
            with _savepoint(outer), sqlite_errors(self.path):
                yield outer
            return
        if self.read_only:
            raise StorageError(f"{self.path} is open for reading only; open it for writing first")
        with self._writing, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._thread.writer = connection
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                self._thread.writer = None
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close all connections; those in use, when they are given back. May be called twice."""
        self._closed = True
        self._close_idle()

    def _writer(self) -> sqlite3.Connection | None:
        writer: sqlite3.Connection | None = getattr(self._thread, "writer", None)
        return writer

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise StorageError(f"{self.path} was closed; open the collection again")
        connection = self._take()
        try:
            with sqlite_errors(self.path):
                yield connection
        except StorageError:
            connection.close()  # after an I/O error its cache and locks are not to be trusted
            raise
        except BaseException:
            self._give_back(connection)
            raise
        else:
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        if self.read_only:
            self._drop_outdated()
        try:
            return self._idle.pop()
        except IndexError:
            return connect(self.path, read_only=self.read_only)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _drop_outdated(self) -> None:
        # An immutable connection does not notice a writer with more rights than this user.
        try:
            status = self.path.stat()
        except OSError as error:
            raise StorageError(
                f"{self.path}: {error.strerror}; open the collection again"
            ) from error
        stamp = (status.st_size, status.st_mtime_ns, int(_wal(self.path).exists()))
        if stamp != self._stamp:
            self._close_idle()
            self._stamp = stamp


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite reports about the file at ``path`` into errors that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise  # a fault of the program, not of the disk
        raise _explained(error, path) from error


def _explained(error: sqlite3.DatabaseError, path: Path) -> StorageError | CollectionBusyError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return CollectionBusyError(
            f"{path}: another process has been writing for {BUSY_TIMEOUT_S:.0f} s; "
            "try again when it has finished"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        advice = "the file is damaged: restore it from a backup, or delete the collection"
        return StorageError(f"{path}: {error}; {advice} and index again")
    if name.startswith("SQLITE_READONLY"):
        advice = "this user or this disk does not allow writing; change the permissions or the home"
    elif name.startswith("SQLITE_CANTOPEN"):
        advice = "check that the folder exists and that this user may read and write it"
    else:
        advice = f"{_free_space(path)}; free some space or check the disk, then run it again"
    return StorageError(f"{path}: {error} ({name or 'no code'}); {advice}")


def _free_space(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free:,} bytes are free"
    except OSError:
        return "free space is unknown"


@contextmanager
def _savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("SAVEPOINT joined")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk makes SQLite roll back the whole transaction
            connection.execute("ROLLBACK TO joined")
            connection.execute("RELEASE joined")
        raise
    connection.execute("RELEASE joined")


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _open(path: Path, access: _Access) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StorageError(
            f"Python was built with SQLite {sqlite3.sqlite_version}; "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} or newer is needed: install a newer Python"
        )
    query = {"write": "mode=rwc", "read": "mode=ro", "immutable": "mode=ro&immutable=1"}[access]
    with sqlite_errors(path):
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{query}",
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
    connection.execute("PRAGMA foreign_keys = ON")
    version = _version(connection, path)
    if version < len(MIGRATIONS) and access != "write":
        raise FormatVersionError(
            f"{path} has format {version}, this program reads {len(MIGRATIONS)}; "
            "index into the collection once to bring it up to date"
        )
    if access == "write":
        # FULL: a commit survives a power cut. What it costs is small beside the embedding.
        connection.execute("PRAGMA synchronous = FULL")
        if version < len(MIGRATIONS):
            _enable_wal(connection, path)
            _migrate(connection, path)


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
