"""The seal of a database: there exactly while nobody has written since, and then telling."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from indexer.storage import connections, seal
from indexer.storage.database import Database
from indexer.storage.schema import MIGRATIONS
from indexer.storage.seal import Seal, break_seal, file_digest, read_seal, seal_path


def put(database: Database, value: int) -> None:
    with database.write() as connection:
        connection.execute("INSERT OR REPLACE INTO state VALUES ('test', ?)", (value,))


def is_true(path: Path) -> bool:
    return read_seal(path) == Seal(path.stat().st_size, file_digest(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "collection.db"


def test_closing_after_writing_seals(path):
    database = Database(path)
    put(database, 1)
    assert read_seal(path) is None
    database.close()
    assert is_true(path)
    with closing(Database(path)) as database, database.read() as connection:
        connection.execute("SELECT * FROM state").fetchall()
    assert is_true(path)


def test_writing_breaks_the_seal_before_anything_changes(path):
    Database(path).close()
    with closing(Database(path)) as database:
        put(database, 1)
    with closing(Database(path)) as database, database.write():
        assert read_seal(path) is None


def test_a_killed_writer_leaves_no_seal(path):
    with closing(Database(path)) as database:
        put(database, 1)
    database = Database(path)
    put(database, 2)
    for connection in database._idle:  # as a kill does: no checkpoint, no seal
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    assert read_seal(path) is None
    database._has_written = False
    database.close()
    assert read_seal(path) is None


def test_a_search_in_progress_puts_the_seal_off(path):
    with closing(Database(path)) as other:
        database = Database(path)
        put(database, 1)
        with other.read() as connection:
            connection.execute("SELECT * FROM state").fetchall()
            put(database, 2)
            assert not database.seal()
            assert read_seal(path) is None
        assert database.seal()
        assert is_true(path)
        database.close()


def test_a_write_between_reading_and_sealing_is_seen(path, monkeypatch):
    other = Database(path)
    database = Database(path)
    put(database, 1)

    def digest(name: Path) -> str:
        writer = threading.Thread(target=put, args=(other, 2))
        writer.start()
        writer.join()
        return file_digest(name)

    monkeypatch.setattr(seal, "file_digest", digest)
    assert not database.seal()
    assert read_seal(path) is None
    monkeypatch.undo()
    assert database.seal()
    assert is_true(path)
    other.close()
    database.close()


def test_the_digest_is_that_of_all_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(seal, "_BLOCK_BYTES", 1000)
    file = tmp_path / "file"
    file.write_bytes(bytes(range(250)) * 30)
    whole = file_digest(file)
    content = bytearray(file.read_bytes())
    for position in (0, 999, 1000, 4321, len(content) - 1):
        altered = content.copy()
        altered[position] ^= 1
        file.write_bytes(altered)
        assert file_digest(file) != whole
    file.write_bytes(content + b"\0")
    assert file_digest(file) != whole
    file.write_bytes(b"")
    assert len(file_digest(file)) == 64


def test_what_is_written_around_the_checkpoint_leaves_no_false_seal(path, monkeypatch):
    database, other = Database(path), Database(path)
    put(database, 1)
    put(other, 2)
    look, looks = seal._data_version, []

    def looked(connection: sqlite3.Connection) -> int:
        version = look(connection)
        if not looks:
            put(other, 3)
        looks.append(version)
        return version

    monkeypatch.setattr(seal, "_data_version", looked)
    assert not database.seal()
    assert read_seal(path) is None
    monkeypatch.undo()
    database.close()
    other.close()
    assert is_true(path)


def test_a_migration_breaks_the_seal(path, monkeypatch):
    with closing(Database(path)) as database:
        put(database, 1)
    newer = (*MIGRATIONS, ("CREATE TABLE added (x)",))
    monkeypatch.setattr(connections, "MIGRATIONS", newer)
    database = Database(path)
    assert read_seal(path) is None
    database.close()


def test_a_damaged_seal_is_no_seal(path):
    with closing(Database(path)) as database:
        put(database, 1)
    text = seal_path(path).read_text()
    seal_path(path).write_text(text.replace("blocks", "blokcs"))
    with pytest.raises(ValueError, match="damaged"):
        read_seal(path)
    break_seal(path)
    assert read_seal(path) is None


def test_who_may_only_read_does_not_seal(path):
    with closing(Database(path)) as database:
        put(database, 1)
    break_seal(path)
    with closing(Database(path, read_only=True)) as database:
        assert not database.seal()
    assert sqlite3.connect(path).execute("SELECT 1").fetchone() == (1,)
