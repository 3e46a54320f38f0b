"""What a collection found best for its own searches: kept in its database, changed by tuning.

Settings win over it; it wins over the defaults of the program. Beside the collection's immutable
settings, as it may change at any time without touching a vector.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import cast

from indexer.errors import StorageError
from indexer.searching.fusion import AUTOMATIC, DenseWeight
from indexer.storage.database import Database

__all__ = ["SearchDefaults", "read_search_defaults", "write_search_defaults"]

_DENSE_WEIGHT, _STEPS = "search_dense_weight", "search_steps"


@dataclass(frozen=True, slots=True)
class SearchDefaults:
    """How to search a collection where the user says nothing.

    Args:
        dense_weight: share of the dense leg, or ``"auto"``; None where none was chosen.
        steps: refinement steps of queries; None where none were chosen.
    """

    dense_weight: DenseWeight | None = None
    steps: int | None = None

    def __bool__(self) -> bool:
        return self.dense_weight is not None or self.steps is not None


def read_search_defaults(database: Database) -> SearchDefaults:
    """Return a collection's own defaults, all None where it was never tuned.

    Raises:
        StorageError: the database cannot be read, or holds values that no version writes.
    """
    with database.read() as connection:
        values: dict[str, object] = dict(
            connection.execute(
                "SELECT name, value FROM state WHERE name IN (?, ?)", (_DENSE_WEIGHT, _STEPS)
            ).fetchall()
        )
    weight, steps = values.get(_DENSE_WEIGHT), values.get(_STEPS)
    is_weight = weight in (None, AUTOMATIC) or (isinstance(weight, float) and 0.0 <= weight <= 1.0)
    if not is_weight or not (steps is None or (isinstance(steps, int) and steps >= 0)):
        raise StorageError(
            f"{database.path} holds search defaults that make no sense (dense weight {weight!r}, "
            f"steps {steps!r}); run `gircse tune` again, with --reset"
        )
    return SearchDefaults(cast("DenseWeight | None", weight), steps)


def write_search_defaults(database: Database, defaults: SearchDefaults) -> None:
    """Make these a collection's own defaults; None takes one away.

    Raises:
        CollectionBusyError, StorageError: they could not be written; the old ones hold.
    """
    weight = defaults.dense_weight
    with database.write() as connection:
        _set(connection, _DENSE_WEIGHT, weight if weight in (None, AUTOMATIC) else float(weight))
        _set(connection, _STEPS, defaults.steps)


def _set(connection: sqlite3.Connection, name: str, value: object) -> None:
    connection.execute("DELETE FROM state WHERE name = ?", (name,))
    if value is not None:
        connection.execute("INSERT INTO state VALUES (?, ?)", (name, value))
