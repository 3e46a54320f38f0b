"""Searches go on while documents change, and see each document old or new, never a mixture."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer.stores.dense import DenseIndex
from indexer.stores.locks import SharedLock
from tests.indexer.stores.content import Opened, open_store, vectors_of
from tests.indexer.stores.writer import PASSAGES_PER_VERSION, version, write_versions

ROOT = Path(__file__).parents[3]


def versions_found(opened: Opened) -> None:
    """Search in every way, and check that what is found is one version, all of it."""
    (dense,) = opened.store.search(vectors_of(["query"]), top_k=100)
    lexical = opened.store.search_text("revised", top_k=100)
    scrolled = [one.chunk.id for stored, _ in opened.store.scroll() for one in stored]
    for ids in ([hit.chunk_id for hit in dense], [hit.chunk_id for hit in lexical], scrolled):
        assert len(ids) == len(set(ids)) == PASSAGES_PER_VERSION
        texts = {one.chunk.text.split(" part")[0] for one in opened.store.get(ids).values()}
        assert len(texts) <= 1


@contextmanager
def running(work: Callable[[], object], *, threads: int) -> Iterator[list[BaseException]]:
    """Call ``work`` in many threads, over and over, until the block ends."""
    faults: list[BaseException] = []
    stopped = threading.Event()

    def repeat() -> None:
        try:
            while not stopped.is_set():
                work()
        except BaseException as fault:
            faults.append(fault)

    started = [threading.Thread(target=repeat) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield faults
    finally:
        stopped.set()
        for thread in started:
            thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in started)


@pytest.fixture
def dawdling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave time for changes between the steps of a dense search."""
    contenders = DenseIndex.contenders

    def slow(self: DenseIndex, *args: object, **options: object) -> list[list[int]]:
        time.sleep(0.004)
        found = contenders(self, *args, **options)
        time.sleep(0.004)
        return found

    monkeypatch.setattr(DenseIndex, "contenders", slow)


@pytest.mark.usefixtures("dawdling")
def test_twenty_threads_search_while_one_writes(opened: Opened) -> None:
    opened.add("changing", version(0))
    written = []
    stopped = threading.Event()
    writer = threading.Thread(target=lambda: written.append(write_versions(opened, stopped)))

    with running(lambda: versions_found(opened), threads=20) as faults:
        writer.start()
        time.sleep(2.0)
        stopped.set()
        writer.join(timeout=60)

    assert not faults
    assert written[0] > 5
    assert set(opened.found("x")) == set(opened.found_by_words("revised"))


def test_threads_search_while_another_process_writes(opened: Opened, kind: str) -> None:
    opened.add("changing", version(0))
    other = open_store(kind, opened.directory)
    command = [sys.executable, "-m", "tests.indexer.stores.writer", kind, str(opened.directory)]
    with subprocess.Popen(
        [*command, "versions"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        with (
            running(lambda: versions_found(opened), threads=2) as faults,
            running(lambda: versions_found(other), threads=2) as more_faults,
        ):
            before = time.monotonic()
            while time.monotonic() - before < 30 and opened.archive.lookup([b""]) == {}:
                if len(opened.archive) > 20 * PASSAGES_PER_VERSION:
                    break
                time.sleep(0.05)
        output, _ = process.communicate("", timeout=60)

    assert process.returncode == 0
    assert not faults
    assert not more_faults
    last = version(int(output) - 1)
    stored = opened.store.get(opened.found("x"))
    assert sorted(one.chunk.text for one in stored.values()) == last
    other.close()


def test_a_search_inside_a_transaction_sees_what_is_committed(opened: Opened) -> None:
    (kept,) = opened.add("a", ["alpha"])

    def search_and_fail() -> None:
        with opened.database.write():
            opened.add("b", ["beta"])
            assert opened.found("beta") == [kept.id]
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        search_and_fail()

    (new,) = opened.add("c", ["gamma"])
    assert set(opened.found("x")) == {kept.id, new.id}


def test_two_handles_follow_each_other(opened: Opened, kind: str) -> None:
    other = open_store(kind, opened.directory)
    for number in range(5):
        first = opened.add("a", [f"a {number}"])
        second = other.add("b", [f"b {number}"])
        expected = {chunk.id for chunk in (*first, *second)}
        assert set(opened.found("x")) == set(other.found("x")) == expected
    other.close()


def test_a_waiting_writer_goes_before_new_readers() -> None:
    lock = SharedLock()
    order: list[str] = []

    def write() -> None:
        with lock.exclusive():
            order.append("writer")

    def read() -> None:
        with lock.shared():
            order.append("reader")

    with lock.shared():
        writer = threading.Thread(target=write)
        writer.start()
        while not lock._waiting:
            time.sleep(0.001)
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(timeout=0.05)
        assert order == []
    writer.join()
    reader.join()
    assert order == ["writer", "reader"]
