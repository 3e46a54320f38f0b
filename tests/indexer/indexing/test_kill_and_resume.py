"""SIGKILL at random moments, resume, and compare with a run that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from indexer.collections.library import Library
from indexer.documents import embedding_text
from indexer.errors import CollectionBusyError
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.indexer.fake_model import FakeModel, vector, write_tokenizer

ROOT = Path(__file__).parents[3]
SEED = 20240607
KILLS = 6


def write_files(folder: Path) -> None:
    folder.mkdir()
    for number in range(90):
        path = folder / f"part{number % 7}" / f"{number:03}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# Paper {number}\n\n" + f"Sentence {number} about things. " * 60)
    (folder / "huge.txt").write_text(
        "".join(f"Sentence number {n} of very many. " for n in range(20_000))
    )
    for name in ["twin-a.md", "twin-b.md"]:
        (folder / name).write_text("# Twins\n\nBoth say the same.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing more")
    (folder / "empty.md").write_bytes(b"")


def change_files(folder: Path) -> None:
    for number in range(0, 90, 3):
        path = folder / f"part{number % 7}" / f"{number:03}.md"
        path.write_text(f"# Paper {number}\n\n" + f"Revised sentence {number}. " * 80)
    for number in range(1, 90, 9):
        (folder / f"part{number % 7}" / f"{number:03}.md").unlink()
    with (folder / "huge.txt").open("a") as file:
        file.write("".join(f"Later addition number {n}. " for n in range(4000)))


def start(home: Path, files: Path, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.indexer.kill_target", str(home), str(files), str(log)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n", process.communicate()
    return process


def run(home: Path, files: Path, log: Path) -> float:
    """Let a run finish; return its seconds."""
    started = time.monotonic()
    output, errors = start(home, files, log).communicate(timeout=120)
    assert errors == ""
    assert output
    return time.monotonic() - started


def kill_after(seconds: float, home: Path, files: Path, log: Path) -> None:
    process = start(home, files, log)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert "Error" not in errors


def state(home: Path, model: FakeModel) -> dict[str, object]:
    """Return all of a collection that a user could tell apart, after checking it for damage."""
    with Library(home, resolve=lambda name: model).open("docs") as collection:
        store, archive = collection.store, collection.archive
        assert archive.verify() == []
        chunks: Counter[str] = Counter()
        texts: set[str] = set()
        for stored, vectors in store.scroll():
            chunks.update(item.chunk.id for item in stored)
            expected = np.stack([vector(embedding_text(item.chunk)) for item in stored])
            np.testing.assert_allclose(vectors, expected, atol=1e-6)
            texts.update(embedding_text(item.chunk) for item in stored)
            (hits,) = store.search(vectors[:1], top_k=1)
            assert hits[0].score == pytest.approx(1.0, abs=1e-5)
        assert set(chunks.values()) == {1}
        assert len(store) == len(chunks)
        with collection.database.read() as connection:
            words = connection.execute("SELECT count(*) FROM chunk_words").fetchone()[0]
            hashes = Counter(row[0] for row in connection.execute("SELECT hash FROM vectors"))
        assert words == len(chunks)
        assert set(hashes.values()) == {1}
        rows = collection.ledger.rows()
        return {
            "chunks": set(chunks),
            "texts": texts,
            "ledger": [(row.source, row.state, row.code, row.sha256, row.chunks) for row in rows],
            "documents": [(item.id, item.chunks, item.title) for item in store.documents()],
            "archive": set(hashes),
        }


def embedded_again(log: Path) -> int:
    """Count texts that the model read twice, other than those in flight at a kill."""
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    known: set[str] = set()
    again = 0
    for index, (process, hashes) in enumerate(calls):
        again += len(known.intersection(hashes))
        # the model may have begun a slice while the one before was being archived
        later = [other for other, _ in calls[index + 1 : index + 3] if other == process]
        if len(later) == 2:
            known.update(hashes)
    return again


@pytest.mark.slow
def test_killed_runs_end_as_an_undisturbed_one(tmp_path):
    model = FakeModel(write_tokenizer(tmp_path))
    files, calm, shaken = tmp_path / "files", tmp_path / "calm", tmp_path / "shaken"
    log = tmp_path / "shaken.log"
    moments = random.Random(SEED)
    write_files(files)
    whole = run(calm, files, tmp_path / "calm.log")
    for _ in range(KILLS):
        kill_after(moments.uniform(0, 0.5 * whole), shaken, files, log)
    run(shaken, files, log)
    assert state(shaken, model) == state(calm, model)

    change_files(files)
    whole = run(calm, files, tmp_path / "calm.log")
    for _ in range(KILLS // 2):
        kill_after(moments.uniform(0, 0.7 * whole), shaken, files, log)
    run(shaken, files, log)
    assert state(shaken, model) == state(calm, model)
    assert embedded_again(log) == 0


def test_readers_see_whole_documents_while_a_run_is_killed(tmp_path):
    model = FakeModel(write_tokenizer(tmp_path))
    files, home = tmp_path / "files", tmp_path / "home"
    write_files(files)
    process = start(home, files, tmp_path / "log")
    library = Library(home, resolve=lambda name: model)
    deadline = time.monotonic() + 60
    while "docs" not in library.names() and time.monotonic() < deadline:
        time.sleep(0.01)
    seen = 0
    with library.open("docs") as collection:
        while seen < 20 and time.monotonic() < deadline:
            counted = Counter(
                item.document.id for stored, _ in collection.store.scroll() for item in stored
            )
            expected = {item.id: item.chunks for item in collection.store.documents()}
            assert all(expected[identity] == count for identity, count in counted.items())
            seen = len(counted)
        with pytest.raises(CollectionBusyError, match=f"process {process.pid} .indexing, since"):
            index_paths(
                collection,
                [files],
                embedder=lambda: pytest.fail("two writers"),
                options=IndexOptions(),
            )
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        ready = {row.document_id for row in collection.ledger.rows(states=("ready",))}
        assert {item.id for item in collection.store.documents()} == ready
        with collection.write_lock():  # the killed process gave it back
            pass
    assert seen >= 20
