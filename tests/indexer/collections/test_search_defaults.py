"""A collection's own choice of how it is searched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.collections.search_defaults import (
    SearchDefaults,
    read_search_defaults,
    write_search_defaults,
)
from indexer.errors import StorageError
from indexer.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "collection.db")
    yield database
    database.close()


def test_a_collection_that_was_never_tuned_has_none(database: Database) -> None:
    assert read_search_defaults(database) == SearchDefaults()
    assert not read_search_defaults(database)


@pytest.mark.parametrize(
    "defaults",
    [
        SearchDefaults(dense_weight=0.35, steps=5),
        SearchDefaults(dense_weight=1),
        SearchDefaults(dense_weight=0.0, steps=0),
        SearchDefaults(dense_weight="auto"),
        SearchDefaults(steps=20),
    ],
)
def test_what_is_written_is_read_by_the_next_that_opens_it(
    tmp_path: Path, database: Database, defaults: SearchDefaults
) -> None:
    write_search_defaults(database, SearchDefaults(dense_weight=0.9, steps=9))
    write_search_defaults(database, defaults)
    database.close()

    opened = Database(tmp_path / "collection.db")
    assert read_search_defaults(opened) == defaults
    assert read_search_defaults(opened)
    opened.close()


def test_they_can_be_taken_away(database: Database) -> None:
    write_search_defaults(database, SearchDefaults(dense_weight=0.35, steps=5))
    write_search_defaults(database, SearchDefaults())

    assert read_search_defaults(database) == SearchDefaults()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("search_dense_weight", 1.5),
        ("search_dense_weight", "most"),
        ("search_steps", -1),
        ("search_steps", "five"),
    ],
)
def test_values_that_make_no_sense_are_named_with_what_mends_them(
    database: Database, name: str, value: object
) -> None:
    with database.write() as connection:
        connection.execute("INSERT INTO state VALUES (?, ?)", (name, value))

    with pytest.raises(StorageError, match=rf"{value!r}.*gircse tune.*--reset"):
        read_search_defaults(database)
