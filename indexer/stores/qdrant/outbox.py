"""Which documents of the content a Qdrant collection has not taken in yet.

Nothing is queued: the database notes for each document when it changed last, and Qdrant how far it
has come. A kill at any moment leaves both as they were. Every function works inside a transaction
of the caller.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = ["Pending", "last_sequence", "note_push", "pending", "stamps"]

_ROUND_DOCUMENTS = 512


@dataclass(frozen=True, slots=True)
class Pending:
    """A document that changed.

    Args:
        sequence: of the change.
        document_id: which; there may be none of that id any more.
        is_touched: whether only its modification time changed.
        chunks: how many it has.
    """

    sequence: int
    document_id: str
    is_touched: bool
    chunks: int


def pending(connection: sqlite3.Connection, *, since: int, points: int) -> list[Pending]:
    """Return the documents that changed after ``since``, in order: as many as make one push.

    Args:
        connection: inside a transaction.
        since: a sequence; 0 stands for the beginning.
        points: chunks after which it is enough.
    """
    found = connection.execute(
        "SELECT x.sequence, x.document, ifnull(x.content, x.sequence) <= :since, "
        "ifnull(d.chunks, 0) FROM document_changes x LEFT JOIN documents d ON d.id = x.document "
        "WHERE x.sequence > :since ORDER BY x.sequence LIMIT :limit",
        {"since": since, "limit": _ROUND_DOCUMENTS},
    )
    taken: list[Pending] = []
    total = 0
    for sequence, document_id, is_touched, chunks in found:
        if taken and total + chunks > points:
            break
        taken.append(Pending(sequence, document_id, bool(is_touched), chunks))
        total += chunks
    return taken


def last_sequence(connection: sqlite3.Connection) -> int:
    """Return the sequence of the last change of a document; 0 where there was none."""
    found = connection.execute("SELECT ifnull(max(sequence), 0) FROM document_changes")
    return int(found.fetchone()[0])


def stamps(connection: sqlite3.Connection, target: str) -> tuple[str, ...]:
    """Return the stamps that a Qdrant collection which follows this database can have."""
    found = connection.execute("SELECT accepted, intended FROM pushes WHERE target = ?", (target,))
    row = found.fetchone()
    return tuple(row) if row else ()


def note_push(connection: sqlite3.Connection, target: str, *, accepted: str, intended: str) -> None:
    """Note the stamp that Qdrant has, and the one that it is about to get."""
    connection.execute(
        "INSERT OR REPLACE INTO pushes VALUES (?, ?, ?)", (target, accepted, intended)
    )
