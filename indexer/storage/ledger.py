"""The ledger: one row per file that a run has seen, and how far its work has come.

A row says ``ready`` only when all of the file's content is stored; everything else is redone. Knows
neither files nor stores: callers commit its rows together with what they describe.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from indexer.documents import document_id

if TYPE_CHECKING:
    from indexer.indexing.discovery import FileEntry
    from indexer.storage.database import Database

__all__ = ["STATES", "UNFINISHED", "Cause", "FileState", "Ledger", "LedgerRow", "LedgerTotals"]

FileState = Literal["queued", "extracting", "embedding", "ready", "no_text", "failed", "skipped"]
STATES: tuple[FileState, ...] = get_args(FileState)
UNFINISHED: tuple[FileState, ...] = ("queued", "extracting", "embedding")

_COLUMNS = (
    "path, source, document_id, size, mtime_ns, sha256, state, code, message, hint, chunks, "
    "updated_at"
)
_PAGE = 500
_MOST_ROWS = 2**63 - 1  # SQLite takes no larger number
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What is known of one file.

    Args:
        path: the path's own bytes.
        source: the path as shown.
        document_id: id of its document.
        size: in bytes, when it was last finished; None before that.
        mtime_ns: its modification time then; None where the time proves nothing.
        sha256: of the content that ``chunks`` came from, or of what failed, in hexadecimal.
        state: how far the work has come.
        code: short stable word for the cause when it has no text, failed or was skipped.
        message: what happened then; when it is ready, what had to be left out, if anything.
        hint: what the user can do about it.
        chunks: how many of its chunks can be searched; above 0 exactly when the store has it.
        updated_at: when this row last changed, seconds since the epoch.
    """

    path: bytes
    source: str
    document_id: str
    size: int | None
    mtime_ns: int | None
    sha256: str | None
    state: FileState
    code: str | None
    message: str | None
    hint: str | None
    chunks: int
    updated_at: float


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a file has nothing to search.

    Args:
        code: short stable word.
        message: what happened.
        hint: what the user can do about it.
    """

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Sums over the ledger.

    Args:
        documents: files that can be searched.
        chunks: their chunks.
        states: number of files in each state that occurs.
        modified_at: when a row last changed, seconds since the epoch; None while there are none.
    """

    documents: int
    chunks: int
    states: dict[str, int]
    modified_at: float | None


class Ledger:
    """The table ``files`` of a collection's database. Safe between threads.

    Writing joins the caller's ``database.write()`` block where there is one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, document_ids: Sequence[str]) -> dict[str, LedgerRow]:
        """Return the rows of documents; unknown ids are left out."""
        found: dict[str, LedgerRow] = {}
        with self._database.read() as connection:
            for part in _parts(document_ids):
                where = f"document_id IN ({_marks(part)})"
                for row in _select(connection, where, part):
                    found[row.document_id] = row
        return found

    def at(self, paths: Sequence[bytes]) -> dict[bytes, LedgerRow]:
        """Return the rows of files by their paths; unknown ones are left out."""
        found: dict[bytes, LedgerRow] = {}
        with self._database.read() as connection:
            for part in _parts(paths):
                for row in _select(connection, f"path IN ({_marks(part)})", part):
                    found[row.path] = row
        return found

    def queue(self, entries: Sequence[FileEntry]) -> None:
        """Note that files are to be done; what is stored of them so far stays known."""
        now = time.time()
        with self._database.write() as connection:
            connection.executemany(
                "INSERT INTO files (path, source, document_id, state, updated_at) "
                "VALUES (?, ?, ?, 'queued', ?) ON CONFLICT (path) DO UPDATE SET "
                "state = 'queued', size = NULL, mtime_ns = NULL, "
                "code = NULL, message = NULL, hint = NULL, updated_at = excluded.updated_at",
                [(entry.key, entry.source, document_id(entry.source), now) for entry in entries],
            )

    def mark(self, paths: Sequence[bytes], state: FileState) -> None:
        """Note how far unfinished files have come; finished ones stay as they are."""
        now = time.time()
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE files SET state = ?, updated_at = ? WHERE path = ? "
                f"AND state IN ({_marks(UNFINISHED)})",
                [(state, now, path, *UNFINISHED) for path in paths],
            )

    def finish(
        self,
        path: bytes,
        *,
        size: int,
        mtime_ns: int | None,
        sha256: str,
        chunks: int,
        message: str | None = None,
    ) -> None:
        """Note that a file's content is stored, as of these stamps.

        Args:
            path: the file.
            size: in bytes.
            mtime_ns: its modification time; None where the time proves nothing.
            sha256: its hash, in hexadecimal.
            chunks: how many chunks are stored.
            message: what had to be left out, if anything.
        """
        with self._database.write() as connection:
            connection.execute(
                "UPDATE files SET state = 'ready', size = ?, mtime_ns = ?, sha256 = ?, chunks = ?, "
                "code = NULL, message = ?, hint = NULL, updated_at = ? WHERE path = ?",
                (size, mtime_ns, sha256, chunks, message, time.time(), path),
            )

    def give_up(
        self,
        path: bytes,
        state: FileState,
        cause: Cause,
        *,
        size: int,
        mtime_ns: int | None,
        sha256: str | None,
        is_stored: bool,
    ) -> None:
        """Note why a file has nothing new to search.

        Args:
            path: the file.
            state: ``"no_text"``, ``"failed"`` or ``"skipped"``.
            cause: why.
            size: of what was tried, in bytes.
            mtime_ns: its modification time; None where the time proves nothing.
            sha256: its hash, in hexadecimal; None when it could not be read.
            is_stored: the store keeps the file's earlier content; its hash then stays as well.
        """
        emptied = "" if is_stored else ", sha256 = ?, chunks = 0"
        values = (state, size, mtime_ns, cause.code, cause.message, cause.hint, time.time())
        with self._database.write() as connection:
            connection.execute(
                "UPDATE files SET state = ?, size = ?, mtime_ns = ?, code = ?, message = ?, "
                f"hint = ?, updated_at = ?{emptied} WHERE path = ?",
                (*values, *(() if is_stored else (sha256,)), path),
            )

    def give_back(self, document_ids: Sequence[str]) -> None:
        """Take unfinished files for not asked for: forgotten, or as searchable as before."""
        with self._database.write() as connection:
            for part in _parts(document_ids):
                which = f"document_id IN ({_marks(part)}) AND state IN ({_marks(UNFINISHED)})"
                values = (*part, *UNFINISHED)
                connection.execute(f"DELETE FROM files WHERE {which} AND chunks = 0", values)
                connection.execute(f"UPDATE files SET state = 'ready' WHERE {which}", values)

    def remove(self, document_ids: Sequence[str]) -> int:
        """Forget files; return how many there were."""
        removed = 0
        with self._database.write() as connection:
            for part in _parts(document_ids):
                statement = f"DELETE FROM files WHERE document_id IN ({_marks(part)})"
                removed += connection.execute(statement, part).rowcount
        return removed

    def rows(
        self, *, offset: int = 0, limit: int | None = None, states: Sequence[FileState] = ()
    ) -> list[LedgerRow]:
        """Return rows ordered by source; of all states unless some are named."""
        where = f"state IN ({_marks(states)})" if states else "1"
        begin = min(offset, _MOST_ROWS)
        page = f" ORDER BY source, path LIMIT {-1 if limit is None else limit} OFFSET {begin}"
        with self._database.read() as connection:
            return _select(connection, where + page, states)

    def failures(self) -> list[LedgerRow]:
        """Return the files that failed, ordered by source, each with cause and hint."""
        return self.rows(states=("failed",))

    def paths_under(self, root: bytes) -> Iterator[bytes]:
        """Yield a path, if it is known, and all known ones below it, in order."""
        below = root.rstrip(b"/") + b"/"
        after = below[:-1] + b"0"  # the byte that follows "/"
        if self.at([root]):
            yield root
        last = below
        while True:
            # page by page, so that the caller may change rows meanwhile
            with self._database.read() as connection:
                page = connection.execute(
                    "SELECT path FROM files WHERE path > ? AND path < ? ORDER BY path LIMIT ?",
                    (last, after, _PAGE),
                ).fetchall()
            if not page:
                return
            for (last,) in page:
                yield last

    def counts(self) -> dict[FileState, int]:
        """Return the number of files in every state, 0 included."""
        states = self.totals().states
        return {state: states.get(state, 0) for state in STATES}

    def totals(self) -> LedgerTotals:
        """Return sums over all files; takes milliseconds for 100,000 of them."""
        with self._database.read() as connection:
            found = connection.execute(
                "SELECT state, count(*), total(chunks > 0), total(chunks), max(updated_at) "
                "FROM files GROUP BY state"
            ).fetchall()
        return LedgerTotals(
            documents=int(sum(row[2] for row in found)),
            chunks=int(sum(row[3] for row in found)),
            states={row[0]: row[1] for row in found},
            modified_at=max((row[4] for row in found), default=None),
        )


def _select(
    connection: sqlite3.Connection, where: str, values: Sequence[object]
) -> list[LedgerRow]:
    found = connection.execute(f"SELECT {_COLUMNS} FROM files WHERE {where}", tuple(values))
    return [LedgerRow(*row) for row in found]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    # SQLite builds of old allow 999 values in one statement
    for begin in range(0, len(values), _PAGE):
        yield values[begin : begin + _PAGE]
