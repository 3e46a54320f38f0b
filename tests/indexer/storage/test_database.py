"""Transactions, versions and plain-worded errors of a collection's database."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.errors import CollectionBusyError, FormatVersionError, StorageError
from indexer.storage import connections
from indexer.storage.database import Database, connect
from indexer.storage.schema import APPLICATION_ID, MIGRATIONS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder?" / "collection.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    path.parent.mkdir()
    database = Database(path)
    yield database
    database.close()


def put(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))


def value(database: Database, name: str, *, committed: bool = False) -> int | None:
    with database.read(committed=committed) as connection:
        found = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    return found and found[0]


def test_a_new_database_has_the_newest_schema_and_syncs_every_commit(database, path) -> None:
    with database.read() as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "application_id", "journal_mode", "synchronous")
        ]
        assert pragmas == [len(MIGRATIONS), APPLICATION_ID, "wal", 2]
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    Database(path).close()


def test_a_block_is_kept_whole_or_not_at_all(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            put(connection, "a", 2)
            raise ValueError("stop")

    with database.write() as connection:
        put(connection, "a", 1)
    with pytest.raises(ValueError, match="stop"):
        fail()

    assert value(database, "a") == 1


def test_an_inner_block_joins_and_is_undone_alone(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            put(connection, "inner", 1)
            raise ValueError("stop")

    with database.write() as outer:
        put(outer, "before", 1)
        with database.write() as inner:
            put(inner, "joined", 1)
        with pytest.raises(ValueError, match="stop"):
            fail()
        assert value(database, "joined") == 1
        assert value(database, "joined", committed=True) is None

    assert value(database, "before") == value(database, "joined") == 1
    assert value(database, "inner") is None


def test_after_sqlite_undid_everything_the_outer_block_cannot_go_on(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute("ROLLBACK")  # as SQLite does by itself on a full disk
            raise StorageError("full")

    def go_on() -> None:
        with database.write() as connection:
            put(connection, "before", 1)
            with pytest.raises(StorageError):
                fail()
            put(connection, "after", 1)

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        go_on()
    assert value(database, "before") is value(database, "after") is None
    write(database, "later", 1)
    assert value(database, "later") == 1


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    with database.write() as connection:
        put(connection, "a", 1)
    with database.read() as connection:
        connection.execute("SELECT * FROM state").fetchall()
        writer = threading.Thread(target=write, args=(database, "a", 2))
        writer.start()
        writer.join()
        found = connection.execute("SELECT value FROM state WHERE name = 'a'").fetchone()
        assert found == (1,)
    assert value(database, "a") == 2


def write(database: Database, name: str, number: int) -> None:
    with database.write() as connection:
        put(connection, name, number)


def test_threads_take_turns_writing(database: Database) -> None:
    def count() -> None:
        for _ in range(25):
            with database.write() as connection:
                (before,) = connection.execute(
                    "SELECT value FROM state WHERE name = 'change'"
                ).fetchone()
                put(connection, "change", before + 1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(database, "change") == 200


def test_an_own_fault_in_a_block_stays_what_it_is(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError), database.write() as connection:
        connection.execute("INSERT INTO vectors VALUES (1, NULL)")
    with pytest.raises(sqlite3.OperationalError, match="no such table"), database.read() as reader:
        reader.execute("SELECT * FROM absent")
    with pytest.raises(FileNotFoundError), database.write():
        Path("/nowhere/at/all").read_bytes()
    assert value(database, "change") == 0


def test_closing_twice_is_fine_and_use_after_it_is_named(database: Database) -> None:
    with database.read() as connection:
        database.close()
        connection.execute("SELECT * FROM state").fetchall()  # given back later
    database.close()
    with pytest.raises(StorageError, match="was closed"), database.read():
        pass


def test_a_database_of_a_newer_program_is_refused(database: Database, path: Path) -> None:
    database.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()

    with pytest.raises(FormatVersionError, match=rf"format {len(MIGRATIONS) + 1}.*upgrade"):
        Database(path)


def test_an_older_database_is_migrated_when_it_may_be_written(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, "kept", 7)
    database.close()
    newer = (*MIGRATIONS, ("CREATE TABLE added (x)", "INSERT INTO added VALUES (1)"))
    monkeypatch.setattr(connections, "MIGRATIONS", newer)

    with pytest.raises(FormatVersionError, match="once to bring it up to date"):
        connect(path, read_only=True)
    again = Database(path)
    assert value(again, "kept") == 7
    with again.read() as connection:
        assert connection.execute("SELECT * FROM added").fetchall() == [(1,)]
    again.close()


def test_a_migration_that_fails_leaves_the_old_state(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    broken = (*MIGRATIONS, ("CREATE TABLE added (x)", "CREATE TABLE added (x)"))
    monkeypatch.setattr(connections, "MIGRATIONS", broken)
    with pytest.raises(sqlite3.OperationalError):
        Database(path)
    monkeypatch.undo()

    again = Database(path)
    with again.read() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    again.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no database, but long enough to be looked at " * 20, "file is not a database"),
        (None, "of another program"),
    ],
)
def test_what_is_no_collection_is_left_alone(path: Path, content: bytes | None, words: str) -> None:
    path.parent.mkdir()
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()

    with pytest.raises(StorageError, match=words):
        Database(path)
    assert path.read_bytes() == before


def test_a_damaged_page_is_named_with_what_to_do(database: Database, path: Path) -> None:
    with database.write() as connection:
        connection.executemany(
            "INSERT INTO vectors VALUES (?, ?)",
            [(number, number.to_bytes(32)) for number in range(5000)],
        )
    database.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    path.write_bytes(bytes(content))

    again = Database(path)
    with (
        pytest.raises(StorageError, match=r"malformed.*restore it from a backup") as caught,
        again.read() as connection,
    ):
        connection.execute("SELECT count(hash) FROM vectors").fetchone()
    assert str(path) in str(caught.value)
    again.close()


def test_a_missing_folder_is_named(path: Path) -> None:
    with pytest.raises(StorageError, match="check that the folder exists"):
        Database(path)
    with pytest.raises(StorageError, match="check that the folder exists"):
        Database(path, read_only=True)


def test_a_reader_never_waits_for_a_writer_and_a_writer_gives_up_in_words(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_S", 0.1)
    other = Database(path)
    with database.write() as connection:
        put(connection, "a", 1)
        assert value(other, "change") == 0
        with pytest.raises(CollectionBusyError, match="another process has been writing"):
            write(other, "b", 1)
    write(other, "b", 1)
    assert value(database, "b") == 1
    other.close()


def test_a_database_opened_for_reading_is_never_written(database: Database, path: Path) -> None:
    reader = Database(path, read_only=True)
    with pytest.raises(StorageError, match="open for reading only"):
        write(reader, "a", 1)
    write(database, "a", 2)
    assert value(reader, "a") == 2
    reader.close()


def test_a_log_left_by_a_killed_process_is_read(database: Database, path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from indexer.storage.database import Database\n"
        "database = Database(Path(sys.argv[1]))\n"
        "with database.write() as c: c.execute(\"INSERT INTO state VALUES ('killed', 1)\")\n"
        "os._exit(9)\n"
    )
    database.close()
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[3], check=False
    )
    assert done.returncode == 9
    assert connections.wal_file(path).stat().st_size > 0

    reader = Database(path, read_only=True)
    assert value(reader, "killed") == 1
    reader.close()


def test_a_database_that_was_removed_is_not_made_again(database: Database, path: Path) -> None:
    path.unlink()
    with database.read():  # the pooled connection still has the removed file
        with (
            pytest.raises(StorageError, match=r"unable to open .*check that the folder exists"),
            database.read(),
        ):
            pass
        assert not path.exists()


def test_connections_never_lead_to_two_databases(database: Database, path: Path) -> None:
    write(database, "a", 1)
    path.replace(path.with_name("moved.db"))
    other = Database(path)
    with database.read():
        with pytest.raises(StorageError, match=r"replaced by another.*open the collection again"):
            value(database, "a", committed=True)
        assert value(other, "a") is None
    other.close()


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff ?#%41\n"))
    folder.mkdir()
    database = Database(folder / "collection.db")
    write(database, "a", 1)
    database.close()
    assert connections.wal_file(folder / "collection.db").exists() is False
    reader = Database(folder / "collection.db", read_only=True)
    assert value(reader, "a") == 1
    reader.close()
