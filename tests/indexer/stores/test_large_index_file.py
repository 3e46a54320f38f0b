"""Large index files: mapped, not summed at every start, not written anew for a few changes."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from indexer.documents import document_id
from indexer.stores import dense, index_file, index_pair
from indexer.stores.index_file import IndexFile
from indexer.stores.index_stamp import IndexStamp
from tests.indexer.stores.content import FAISS_STORES, Opened, open_store

PASSAGES = [f"passage {number}" for number in range(300)]


@pytest.fixture(params=FAISS_STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as large."""
    monkeypatch.setattr(index_file, "_LARGE", 0)
    monkeypatch.setattr(dense, "_LARGE", 0)


@pytest.fixture
def written(kind: str, tmp_path: Path) -> Opened:
    opened = open_store(kind, tmp_path)
    opened.add("a", PASSAGES)
    opened.store.flush()
    return opened


def texts(opened: Opened) -> set[str]:
    stored = opened.store.get(opened.found("x", top_k=1000))
    return {one.chunk.text for one in stored.values()}


def test_a_mapped_index_takes_additions_and_removals(written: Opened, kind: str) -> None:
    """FAISS ends the process that adds to a mapped index; it would take this test along."""
    again = open_store(kind, written.directory)
    assert texts(again) == set(PASSAGES)

    again.add("b", [f"new {number}" for number in range(100)])
    assert texts(again) == {*PASSAGES, *(f"new {number}" for number in range(100))}
    again.add("a", PASSAGES[:200])
    assert texts(again) == {*PASSAGES[:200], *(f"new {number}" for number in range(100))}
    again.store.flush()
    again.add("c", ["newest"])

    assert texts(again) == texts(written)
    assert len(texts(again)) == 301
    assert again.store.check_index() == []
    again.close()
    written.close()


def test_a_file_that_is_replaced_while_it_is_mapped_stays_readable(written: Opened, kind) -> None:
    reader = open_store(kind, written.directory)
    with reader.store.dense.snapshot():
        inode = (written.directory / "index.faiss").stat().st_ino
        written.add("b", [f"new {number}" for number in range(100)])
        written.store.flush()
        assert (written.directory / "index.faiss").stat().st_ino != inode
        assert len(reader.store.dense) == 300
        (found,) = reader.store.dense.contenders(written.archive.read([7]), top_k=5, rows=None)
        assert 7 in found
    assert len(texts(reader)) == 400
    reader.close()
    written.close()


def test_a_known_file_is_not_summed_again(written: Opened, kind: str, monkeypatch) -> None:
    written.close()
    summed = []
    real = index_file._sha256
    monkeypatch.setattr(index_file, "_sha256", lambda path: summed.append(path) or real(path))

    again = open_store(kind, written.directory)
    again.found("x")
    again.close()
    assert summed == []

    copy = written.directory / "copy"
    copy.write_bytes((written.directory / "index.faiss").read_bytes())
    copy.replace(written.directory / "index.faiss")
    again = open_store(kind, written.directory)
    again.found("x")
    assert len(summed) == 1
    again.close()


@pytest.mark.parametrize("keeps_time", [False, True])
def test_a_changed_byte_is_found(written: Opened, kind: str, caplog, keeps_time: bool) -> None:
    """Even where the time was put back: verifying always reads the whole file."""
    written.close()
    path = written.directory / "index.faiss"
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-700, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x10]))
    if keeps_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = open_store(kind, written.directory)

    if keeps_time:
        (fault,) = again.store.check_index()
        assert fault.is_damage
        assert fault.where == str(path)
        again.store.rebuild_index()
    assert texts(again) == set(PASSAGES)
    assert keeps_time or "sha256" in caplog.text
    again.store.flush()
    assert again.store.check_index() == []
    again.close()


def test_a_file_cut_off_is_not_mapped(written: Opened, kind: str, caplog) -> None:
    """Mapped, it would end the process at the first search."""
    written.close()
    path = written.directory / "index.faiss"
    os.truncate(path, path.stat().st_size // 2)

    again = open_store(kind, written.directory)
    assert texts(again) == set(PASSAGES)
    assert "cannot be used" in caplog.text
    again.close()


def test_few_changes_are_left_to_the_searches(written: Opened, kind: str) -> None:
    before = IndexStamp.read(written.directory / "index.json")
    written.add("b", ["new one", "new two"])
    written.store.flush()
    written.store.delete([document_id("/home/me/b")])
    written.add("c", ["new three"])
    written.store.flush()
    assert IndexStamp.read(written.directory / "index.json") == before
    assert texts(written) == {*PASSAGES, "new three"}
    again = open_store(kind, written.directory)
    assert texts(again) == {*PASSAGES, "new three"}
    assert again.store.check_index() == []

    again.add("d", [f"many {number}" for number in range(10)])
    again.store.flush()

    assert IndexStamp.read(written.directory / "index.json").total == 311
    again.close()
    written.close()


def test_searches_go_on_while_the_index_is_built(written: Opened, monkeypatch) -> None:
    """The build waits until a search has been answered: were it to lock, both would wait."""
    answered, begun = threading.Event(), threading.Event()

    def should_stop() -> bool:
        begun.set()
        assert answered.wait(60)
        return False

    built = []
    builder = threading.Thread(
        target=lambda: built.append(written.store.build(should_stop=should_stop))
    )
    builder.start()
    assert begun.wait(60)
    written.add("b", ["new"])
    assert texts(written) == {*PASSAGES, "new"}
    answered.set()
    builder.join(60)

    assert built == [True]
    assert texts(written) == {*PASSAGES, "new"}
    written.close()


def test_a_build_tells_how_far_it_is_and_can_be_stopped(written: Opened, monkeypatch) -> None:
    before = IndexStamp.read(written.directory / "index.json")
    told: list[tuple[int, int]] = []
    assert not written.store.build(should_stop=lambda: True)
    assert not written.store.build(
        progress=lambda done, total: told.append((done, total)), should_stop=lambda: bool(told)
    )
    assert IndexStamp.read(written.directory / "index.json") == before
    assert not (written.directory / "index.faiss.new").exists()

    told.clear()
    assert written.store.build(progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 300)
    assert told[-1] == (300, 300)
    assert IndexStamp.read(written.directory / "index.json").token != before.token
    written.close()


def test_a_flat_index_of_before_there_were_types_is_taken_over(tmp_path: Path, monkeypatch) -> None:
    opened = open_store("faiss", tmp_path)
    opened.add("a", PASSAGES)
    monkeypatch.setattr(
        IndexStamp,
        "sealed_values",
        lambda self: {
            "token": self.token,
            "change": self.change,
            "index_type": "IDMap2,Flat",
            "dim": self.dim,
            "total": self.total,
            "file_sha256": self.sha256,
        },
    )
    opened.store.flush()
    opened.close()
    monkeypatch.undo()
    inode = (tmp_path / "index.faiss").stat().st_ino
    again = open_store("faiss", tmp_path)
    monkeypatch.setattr(again.archive, "read", None)  # building it anew would have to read this
    with again.store.dense.snapshot():
        assert len(again.store.dense) == 300
    monkeypatch.undo()
    again.close()
    assert (tmp_path / "index.faiss").stat().st_ino == inode


def test_an_index_without_a_file_yet_is_searched_with_a_warning(
    tmp_path: Path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(dense, "_MANY_UNINDEXED", 100)
    monkeypatch.setattr(dense, "_QUICKLY_BUILT", 100)
    opened = open_store("faiss hnsw", tmp_path)
    opened.add("a", PASSAGES)
    with caplog.at_level(logging.WARNING):
        assert texts(opened) == set(PASSAGES)

    opened.close()  # does not take minutes to write it

    assert "there is no index of type hnsw yet; 300 vectors" in caplog.text
    assert not (tmp_path / "index.faiss").exists()


def test_a_writer_that_fails_in_the_database_leaves_no_draft(written: Opened, monkeypatch) -> None:
    written.add("b", [f"new {number}" for number in range(100)])
    monkeypatch.setattr(index_pair, "accept_index", None)
    with pytest.raises(TypeError):
        written.store.flush()
    monkeypatch.undo()

    assert not (written.directory / "index.faiss.new").exists()
    assert len(texts(written)) == 400
    assert IndexFile(written.directory).damage() is None
    written.close()
