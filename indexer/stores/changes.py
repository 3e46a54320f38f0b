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


def accepted_index(connection: sqlite3.Connection) -> tuple[str, int]:
    """Return token and change of the index file that belongs to the database."""
    values = dict(
        connection.execute(
            "SELECT name, value FROM state WHERE name IN ('index_token', 'change_floor')"
        ).fetchall()
    )
    return values["index_token"], values["change_floor"]


def accept_index(connection: sqlite3.Connection, *, token: str, change: int) -> None:
    """Note which index file belongs to the database, and drop what it already contains."""
    connection.execute("UPDATE state SET value = ? WHERE name = 'index_token'", (token,))
    connection.execute("UPDATE state SET value = ? WHERE name = 'change_floor'", (change,))
    connection.execute("DELETE FROM row_changes WHERE change <= ?", (change,))
