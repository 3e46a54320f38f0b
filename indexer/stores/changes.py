"""What changed in the database since an index was last brought up to date.

Knows archive rows and change numbers, no index. Every function works inside a transaction of the
caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from indexer.stores.reading import json_text
from indexer.stores.row_set import RowSet

__all__ = [
    "accept_index",
    "accepted_index",
    "change_count",
    "rows_of_documents",
    "touched_rows",
    "used_rows",
]

_MOST_BY_NUMBER = 20_000  # to go through all rows is quicker beyond


def touched_rows(connection: sqlite3.Connection, *, since: int) -> RowSet | None:
    """Return the rows that chunks began or ceased to use; None when that is not known any more."""
    if change_count(connection, since=since) is None:
        return None
    return _row_set(connection.execute("SELECT row FROM row_changes WHERE change > ?", (since,)))


def change_count(connection: sqlite3.Connection, *, since: int) -> int | None:
    """Return how often chunks began or ceased to use rows; None when that is not known any more."""
    (floor,) = connection.execute("SELECT value FROM state WHERE name = 'change_floor'").fetchone()
    if since < floor:
        return None
    found = connection.execute("SELECT count(*) FROM row_changes WHERE change > ?", (since,))
    return int(found.fetchone()[0])


def used_rows(connection: sqlite3.Connection, *, among: RowSet | None) -> RowSet:
    """Return the rows that chunks use."""
    if among is None or len(among) > _MOST_BY_NUMBER:
        used = _row_set(connection.execute("SELECT row FROM chunks"))
        return used if among is None else used & among
    return _row_set(
        connection.execute(
            "SELECT row FROM chunks WHERE row IN (SELECT value FROM json_each(?))",
            (json_text(among.rows().tolist()),),
        )
    )


def rows_of_documents(connection: sqlite3.Connection, keys: Sequence[int]) -> RowSet:
    """Return the archive rows that chunks of these documents use."""
    return _row_set(
        connection.execute(
            "SELECT row FROM chunks WHERE document IN (SELECT value FROM json_each(?))",
            (json_text(keys),),
        )
    )


def accepted_index(connection: sqlite3.Connection, name: str) -> tuple[str, int]:
    """Return token and change of the file of one index over this database; no token for none."""
    found = connection.execute(
        "SELECT token, change FROM index_files WHERE name = ?", (name,)
    ).fetchone()
    return found if found is not None else ("", 0)


def accept_index(connection: sqlite3.Connection, name: str, *, token: str, change: int) -> None:
    """Note which file of an index belongs to the database, and drop the changes that it contains.

    Other indexes over the same database may be behind: they are then compared row by row.
    """
    connection.execute("INSERT OR REPLACE INTO index_files VALUES (?, ?, ?)", (name, token, change))
    connection.execute(
        "UPDATE state SET value = max(value, ?) WHERE name = 'change_floor'", (change,)
    )
    connection.execute("DELETE FROM row_changes WHERE change <= ?", (change,))


def _row_set(found: Iterable[tuple[int]]) -> RowSet:
    # One number at a time: a list of a million tuples would take 100 MB.
    return RowSet.of(np.fromiter((row for (row,) in found), dtype=np.int64))
