"""Killed processes, full disks and folders without write permission."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.documents import embedding_text
from indexer.errors import StorageError
from indexer.storage import connections
from indexer.storage.database import Database
from tests.indexer.stores.content import open_store, vector_of

ROOT = Path(__file__).parents[3]
Mount = Callable[..., None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Mount]]:
    """A file system of its own, which can be made small, or read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str, *, remount: bool = False) -> None:
        options = f"remount,{options}" if remount else options
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"mounting a small disk is not allowed here: {done.stderr.strip()}")

    mount("size=4m")
    yield folder, mount
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_of_the_document_stays(kind: str, small_disk) -> None:
    folder, mount = small_disk
    opened = open_store(kind, folder)
    filler = "word " * 400
    added: list[int] = []

    def fill() -> None:
        for number in range(10_000):
            opened.add(f"{number}", [f"text {number} {filler} {part}" for part in "abc"])
            added.append(number)

    with pytest.raises(StorageError, match=r"full.* bytes .*free") as caught:
        fill()
    assert str(folder) in str(caught.value)

    number = len(added)
    stored = number * 3
    assert len(opened.store) == stored
    assert opened.archive.verify() == []
    with opened.database.read() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    mount("size=64m", remount=True)
    assert len(opened.found("x", top_k=100_000)) == stored
    opened.add(f"{number}", ["now there is room"])
    assert len(opened.found("x", top_k=100_000)) == stored + 1
    opened.close()


def test_a_disk_too_full_for_the_index_file_costs_nothing_else(
    kind: str, small_disk, caplog
) -> None:
    folder, mount = small_disk
    opened = open_store(kind, folder)
    opened.add("a", [f"passage {number}" for number in range(2000)])
    (folder / "ballast").write_bytes(bytes(os.statvfs(folder).f_bavail * 4096 - 100_000))

    with pytest.raises(StorageError, match=r"bytes were needed"):
        opened.store.flush()
    assert len(opened.found("x", top_k=3)) == 3
    opened.close()

    assert "built anew" in caplog.text
    assert sorted(path.name for path in folder.glob("index.faiss*")) == []
    mount("size=64m", remount=True)
    opened = open_store(kind, folder)
    assert len(opened.found("x", top_k=3000)) == 2000
    opened.close()


@pytest.mark.parametrize("is_flushed", [True, False])
def test_a_read_only_disk_can_be_searched(kind: str, small_disk, is_flushed: bool) -> None:
    folder, mount = small_disk
    opened = open_store(kind, folder)
    opened.add("a", ["alpha", "beta"])
    if is_flushed:
        opened.store.flush()
    opened.database.close()
    opened.archive.close()
    mount("ro", remount=True)

    opened = open_store(kind, folder)

    assert opened.database.read_only
    assert len(opened.found("x")) == 2
    assert len(opened.found_by_words("alpha")) == 1
    with pytest.raises(StorageError, match=r"open for reading only"):
        opened.add("b", ["gamma"])
    with pytest.raises(StorageError, match=r"open for reading only"):
        opened.delete("a")
    opened.store.flush()
    opened.close()


def test_a_reader_without_permission_follows_a_writer_with_it(kind: str, tmp_path: Path) -> None:
    """The reader may not create SQLite's shared memory; it must not go on with an old view."""
    writer = open_store(kind, tmp_path)
    writer.add("a", ["alpha"])
    writer.close()
    reader = open_store(kind, tmp_path, read_only=True)
    assert len(reader.found("x")) == 1

    writer = open_store(kind, tmp_path)
    writer.add("b", ["beta"])
    assert len(reader.found("x")) == 2
    writer.close()
    assert len(reader.found("x")) == 2
    reader.close()


def test_a_killed_writer_leaves_whole_documents(kind: str, tmp_path: Path) -> None:
    draw = random.Random(5)
    for _ in range(6):
        command = [sys.executable, "-m", "tests.indexer.stores.writer", kind, str(tmp_path), "grow"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(draw.uniform(0.0, 0.5))
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)

        opened = open_store(kind, tmp_path)
        with opened.database.read() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            connection.execute("SELECT count(*) FROM chunk_words").fetchone()
        assert opened.archive.verify() == []
        seen = []
        for stored, vectors in opened.store.scroll():
            for one, vector in zip(stored, vectors, strict=True):
                assert (vector == vector_of(embedding_text(one.chunk))).all()
                seen.append(one.chunk.id)
        assert len(seen) == len(set(seen)) == len(opened.store)
        assert sorted(opened.found("x", top_k=10_000)) == sorted(seen)
        assert sum(one.chunks for one in opened.store.documents()) == len(seen)
        opened.close()


def test_vectors_of_an_undone_transaction_are_written_over(kind: str, tmp_path: Path) -> None:
    opened = open_store(kind, tmp_path)
    opened.add("a", ["alpha"])

    def add_and_stop() -> None:
        with opened.database.write():
            opened.add("b", ["lost one", "lost two"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_and_stop()
    segment = tmp_path / "vectors" / "00000.npy"
    size = segment.stat().st_size

    opened.add("c", ["gamma"])

    assert segment.stat().st_size == size
    assert len(opened.archive) == 2
    (found,) = opened.store.get(opened.found("gamma", top_k=1)).values()
    assert found.chunk.text == "gamma"
    assert opened.archive.verify() == []
    opened.close()


def test_a_damaged_vector_is_not_searched_in_silence(kind: str, tmp_path: Path) -> None:
    opened = open_store(kind, tmp_path)
    opened.add("a", ["alpha", "beta"])
    segment = tmp_path / "vectors" / "00000.npy"
    content = bytearray(segment.read_bytes())
    content[-1] ^= 0x7F
    segment.write_bytes(bytes(content))

    with pytest.raises(StorageError, match=r"00000\.npy is damaged: row 1"):
        opened.found("x")

    opened.store._has_written = False
    opened.close()


def test_closing_while_another_process_writes_only_leaves_the_index_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_S", 0.1)
    opened = open_store("faiss", tmp_path)
    chunks = opened.add("a", ["alpha"])
    other = Database(tmp_path / "collection.db")
    with other.write():
        opened.store.close()
    other.close()
    opened.close()

    assert "built anew when needed" in caplog.text
    again = open_store("faiss", tmp_path)
    assert again.found("x") == [chunks[0].id]
    again.close()
