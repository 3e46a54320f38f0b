"""What changed in the database since an index was last brought up to date.

Knows archive rows and change numbers, no index. Every function works inside a transaction of the
caller.
"""

from __future__ import annotations

import sqlite3

from indexer.stores.reading import json_text

__all__ = ["accept_index", "accepted_index", "touched_rows", "used_rows"]


def touched_rows(connection: sqlite3.Connection, *, since: int) -> set[int] | None:
    """Return the rows that chunks began or ceased to use; None when that is not known any more."""
    (floor,) = connection.execute("SELECT value FROM state WHERE name = 'change_floor'").fetchone()
    if since < floor:
        return None
    found = connection.execute("SELECT DISTINCT row FROM row_changes WHERE change > ?", (since,))
    return {row for (row,) in found}


def used_rows(connection: sqlite3.Connection, *, among: set[int] | None) -> set[int]:
    """Return the rows that chunks use."""
    condition = "" if among is None else "WHERE row IN (SELECT value FROM json_each(:rows))"
    found = connection.execute(
        f"SELECT DISTINCT row FROM chunks {condition}", {"rows": json_text(sorted(among or ()))}
    )
    return {row for (row,) in found}


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
