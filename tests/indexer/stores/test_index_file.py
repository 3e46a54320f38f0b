"""The FAISS file is derived: whatever happens to it, searches are right and nothing is lost."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path

import pytest

from indexer.stores import index_file
from tests.indexer.stores.content import Opened, open_store

PASSAGES = [f"passage {number}" for number in range(50)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A collection with an index file that is up to date."""
    opened = open_store("faiss", tmp_path)
    opened.add("a", PASSAGES)
    opened.store.flush()
    opened.close()
    return tmp_path


def check(directory: Path, *, count: int = 50) -> Opened:
    opened = open_store("faiss", directory)
    for passage in PASSAGES[:5]:
        stored = opened.store.get(opened.found(passage, top_k=1))
        assert [one.chunk.text for one in stored.values()] == [passage]
    assert len(opened.found("x", top_k=1000)) == count
    opened.close()
    return opened


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING)


def test_a_current_file_is_used_as_it_is(directory, caplog, monkeypatch) -> None:
    before = (directory / "index.faiss").stat()
    opened = open_store("faiss", directory)
    monkeypatch.setattr(opened.archive, "read", None)  # building it anew would have to read this

    with opened.store.dense.snapshot():
        assert len(opened.store.dense) == 50

    monkeypatch.undo()
    opened.close()
    after = (directory / "index.faiss").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not warnings(caplog)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: truncate(path),
        lambda path: path.write_bytes(b""),
        lambda path: flip(path, 3),
        lambda path: flip(path, 9),
        lambda path: flip(path, -2000),
        lambda path: path.write_bytes(b"not an index at all"),
    ],
    ids=["truncated", "empty", "magic", "header", "vector", "other"],
)
def test_a_damaged_file_is_set_aside_and_built_anew(directory, caplog, damage) -> None:
    damage(directory / "index.faiss")
    damaged = (directory / "index.faiss").read_bytes()

    check(directory)

    assert "sha256" in warnings(caplog)
    assert (directory / "index.faiss.damaged").read_bytes() == damaged
    caplog.clear()
    check(directory)
    assert not warnings(caplog)


@pytest.mark.parametrize("name", ["index.faiss", "index.json"])
def test_a_missing_file_is_built_anew(directory, name) -> None:
    (directory / name).unlink()

    check(directory)

    assert (directory / name).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"change": 0},
        {"change": 2},
        {"total": 49},
        {"dim": 25},
        {"index_type": "HNSW32"},
        {"token": "other"},
        {"sha256": "0" * 64},
        {"surplus": 1},
    ],
    ids=str,
)
def test_a_stamp_that_says_something_else_is_not_believed(directory, caplog, change) -> None:
    path = directory / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    check(directory)

    assert "cannot be used" in warnings(caplog)


def test_a_stamp_that_is_no_json_is_not_believed(directory) -> None:
    (directory / "index.json").write_bytes(b"\xff{")

    check(directory)


def keep_files(directory: Path, kept: Path, pattern: str) -> None:
    kept.mkdir()
    for path in directory.glob(pattern):
        shutil.copy2(path, kept)


def test_an_index_older_than_the_database_is_caught_up(directory, caplog) -> None:
    opened = open_store("faiss", directory)
    opened.add("b", ["later one", "later two"])
    opened.add("a", PASSAGES[:20])
    opened.database.close()  # as a killed process leaves it

    check(directory, count=22)

    assert not warnings(caplog)


def test_an_index_put_back_from_an_older_backup_is_not_believed(directory, tmp_path_factory):
    kept = tmp_path_factory.mktemp("backup") / "files"
    keep_files(directory, kept, "index.*")
    opened = open_store("faiss", directory)
    opened.add("b", ["later one", "later two"])
    opened.close()
    for path in kept.iterdir():
        shutil.copy2(path, directory)

    check(directory, count=52)


def test_an_index_newer_than_a_restored_database_is_not_believed(directory, tmp_path_factory):
    kept = tmp_path_factory.mktemp("backup") / "files"
    keep_files(directory, kept, "collection.db")
    opened = open_store("faiss", directory)
    opened.add("a", PASSAGES[:20])
    opened.add("b", ["later one", "later two"])
    opened.close()
    shutil.copy2(kept / "collection.db", directory)

    check(directory)
    opened = open_store("faiss", directory)
    opened.add("b", ["another one"])  # takes the archive row that "later one" had
    (found,) = opened.store.get(opened.found("another one", top_k=1)).values()
    assert found.chunk.text == "another one"
    assert opened.archive.verify() == []
    opened.close()


@pytest.mark.parametrize("step", ["prepare", "replace"])
def test_a_run_that_ends_while_writing_the_file_leaves_a_right_one(
    directory, monkeypatch, step
) -> None:
    opened = open_store("faiss", directory)
    opened.add("b", ["later one", "later two"])

    def stop(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(index_file.IndexFile, step, stop)
    with pytest.raises(KeyboardInterrupt):
        opened.store.flush()
    opened.database.close()
    monkeypatch.undo()

    check(directory, count=52)


def test_a_file_that_another_process_is_writing_is_waited_for(directory, monkeypatch, caplog):
    """The database already names the new file; its lock is held until both files are there."""
    writer, reader = open_store("faiss", directory), open_store("faiss", directory)
    writer.add("b", ["later one", "later two"])
    replace = index_file.IndexFile.replace
    waited = []

    def replace_while_somebody_reads(self, stamp):
        locked = index_file.IndexFile.locked

        def locked_later(other):
            waited.append(other)
            replace(self, stamp)
            monkeypatch.setattr(index_file.IndexFile, "locked", locked)
            return locked(index_file.IndexFile(directory / "elsewhere"))

        (directory / "elsewhere").mkdir()
        monkeypatch.setattr(index_file.IndexFile, "locked", locked_later)
        assert len(reader.found("x", top_k=1000)) == 52

    monkeypatch.setattr(index_file.IndexFile, "replace", replace_while_somebody_reads)
    writer.store.flush()

    assert waited
    assert not reader.store.dense.was_rebuilt
    assert not warnings(caplog)
    writer.close()
    reader.close()


def test_flushing_without_a_change_writes_nothing(directory) -> None:
    before = (directory / "index.faiss").stat().st_mtime_ns
    opened = open_store("faiss", directory)

    opened.store.flush()
    opened.close()

    assert (directory / "index.faiss").stat().st_mtime_ns == before


def test_the_log_of_changes_is_dropped_once_the_file_contains_them(directory) -> None:
    opened = open_store("faiss", directory)
    other = open_store("faiss", directory)
    other.found("x")
    opened.add("b", ["later one", "later two"])
    opened.delete("a")
    opened.store.flush()

    with opened.database.read() as connection:
        assert connection.execute("SELECT count(*) FROM row_changes").fetchone() == (0,)
    assert len(other.found("x", top_k=1000)) == 2  # it compares everything instead
    opened.close()
    other.close()


def test_a_faiss_for_gpus_without_their_libraries_is_named(
    directory, tmp_path, monkeypatch
) -> None:
    (tmp_path / "faiss.py").write_text("raise RuntimeError('libcudart.so.12 is not there')")
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    opened = open_store("faiss", directory)
    with pytest.raises(index_file.StorageError, match=r"libcudart.*\[gpu\] where there is a GPU"):
        opened.found("x")
    assert len(opened.found_by_words("7")) == 1
    opened.close()


def test_an_absent_faiss_is_named_and_words_are_still_searched(directory, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    opened = open_store("faiss", directory)

    with pytest.raises(index_file.StorageError, match=r"install gircse-search\[cpu\]"):
        opened.found("x")

    assert len(opened.found_by_words("7")) == 1
    opened.close()
