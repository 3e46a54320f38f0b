"""A collection's database: a pool of connections and its transactions.

One file holds ledger, archive map, payloads and words, so that what belongs together is committed
together. Knows nothing of what the tables mean.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from indexer.errors import IndexerError, StorageError
from indexer.storage.connections import connect, sqlite_errors, wal_file
from indexer.storage.seal import break_seal, read_seal, set_seal

__all__ = ["Database", "connect", "is_writable"]

_SEALING_TIMEOUT_MS = 200  # a closing program waits no longer for others' searches to end

logger = logging.getLogger(__name__)


class Database:
    """A pool of connections to one database, safe to share between threads.

    Args:
        path: the database file; made if it is absent, but never again once this has opened it.
        read_only: never write. So is a database in a place where this user may not write: it can
            be searched, and ``write()`` says why not.

    Raises:
        FormatVersionError, StorageError: as for ``connect``.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only or (path.exists() and not is_writable(path))
        self._idle: deque[sqlite3.Connection] = deque()
        self._stamp: tuple[int, int, int] | None = None
        self._file: tuple[int, int] | None = None
        self._closed = False
        self._has_written = not path.exists()  # one that is made is sealed as well
        self._writing = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
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
            raise StorageError(
                f"{self.path} is open for reading only; indexing needs a user who may write to "
                f"{self.path.parent}"
            )
        with self._writing, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._thread.writer = connection
            try:
                break_seal(self.path)
                self._has_written = True
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.ProgrammingError):  # closed by a block inside of this one
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise
            finally:
                self._thread.writer = None
        for listener in tuple(self._listeners):
            listener()

    @property
    def is_writing(self) -> bool:
        """Whether this thread is inside a ``write()`` block."""
        return self._writer() is not None

    def after_commit(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each transaction that this object commits, in the same thread.

        What it raises reaches the writer, though all is kept: it should raise nothing.

        Returns:
            What ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def seal(self) -> bool:
        """Write the checksum of the file beside it, valid until the next ``write()`` anywhere.

        Reads the whole file. Returns whether there is a seal now; where others are just searching
        or writing, or this user may not write, there is none.
        """
        if self.read_only:
            return False
        try:
            if read_seal(self.path) is None:
                connection = self._connect()
                try:
                    connection.execute(f"PRAGMA busy_timeout = {_SEALING_TIMEOUT_MS}")
                    return set_seal(connection, self.path)
                finally:
                    connection.close()
        except (OSError, ValueError, sqlite3.Error, IndexerError) as error:
            logger.info("%s was not sealed: %s", self.path, error)
            return False
        return True

    def close(self) -> None:
        """Seal the file if it was written to, and close all connections; may be called twice.

        Those in use are closed when they are given back.
        """
        if self._has_written and not self._closed:
            self._has_written = False
            self.seal()
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
        except BaseException:
            connection.close()  # after an I/O error its cache and locks are not to be trusted
            raise
        else:
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        if self.read_only:
            self._drop_outdated()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        """Open the file that the first connection opened; never make or take another one."""
        connection = connect(self.path, read_only=self.read_only, create=self._file is None)
        try:
            status = self._status()
            if self._file not in (None, (status.st_dev, status.st_ino)):
                raise StorageError(
                    f"{self.path} was replaced by another file since it was opened; "
                    "open the collection again"
                )
        except BaseException:
            connection.close()
            raise
        self._file = status.st_dev, status.st_ino
        return connection

    def _status(self) -> os.stat_result:
        try:
            return self.path.stat()
        except OSError as error:
            raise StorageError(
                f"{self.path}: {error.strerror}; check that the folder exists and that this user "
                "may read it"
            ) from error

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
        status = self._status()
        stamp = (status.st_size, status.st_mtime_ns, int(wal_file(self.path).exists()))
        if stamp != self._stamp:
            self._close_idle()
            self._stamp = stamp


@contextmanager
def _savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("SAVEPOINT joined")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO joined")
            connection.execute("RELEASE joined")
        else:
            # A full disk makes SQLite undo the whole transaction; were the outer block to go on,
            # each of its statements would now be kept by itself.
            connection.close()
        raise
    connection.execute("RELEASE joined")


def is_writable(path: Path) -> bool:
    """Return whether this user may write a database and what SQLite keeps beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
