"""Run ``gircse index`` over many files of which none has changed, beside the least it could cost.

    python -m tests.bench.unchanged [--files N] [--keep FOLDER]

Makes a tree of small files and a collection that knows them all: documents, chunks, vectors and
ledger are written as a run would leave them, without asking a model. Then runs the command itself,
and beside it, in a process of its own, what no program can do without: listing every folder and
asking the system for every file's size and time. Prints one JSON line; ``cpu_seconds`` tells what
the command took of the processor, which on a busy machine is less than the time that went by.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from indexer.collections.library import Library
from indexer.documents import Chunk, Document, Section, chunk_id, document_id, text_hash
from indexer.indexing.discovery import FileEntry, discover

FILES_PER_FOLDER = 200
BATCH = 2000
# Written long before the run, so that their times prove that they have not changed since.
AGE_S = 3600
LIMIT = """
import os, sys, time
started = time.perf_counter()
count = 0
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        os.stat(os.path.join(folder, name))
        count += 1
print(count, time.perf_counter() - started)
"""


def write_tree(folder: Path, files: int) -> None:
    """Write ``files`` notes of one sentence, some of them several folders deep."""
    then = time.time() - AGE_S
    for number in range(files):
        parent = (
            folder / f"{number // (FILES_PER_FOLDER * 20):03}" / f"{number // FILES_PER_FOLDER:05}"
        )
        if number % FILES_PER_FOLDER == 0:
            parent.mkdir(parents=True)
        path = parent / f"note-{number:07}.md"
        path.write_text(_text(number))
        os.utime(path, (then, then))


def _text(number: int) -> str:
    return f"Note {number} says that nothing has changed since it was written."


def fill(home: Path, folder: Path) -> None:
    """Make a collection that has every file of ``folder``."""
    rng = np.random.default_rng(0)
    with Library(home).create("default", model="gircse-minilm") as collection:
        batch: list[FileEntry] = []
        for entry in discover([folder]):
            batch.append(entry)
            if len(batch) == BATCH:
                _store(collection, batch, rng)
                batch = []
        _store(collection, batch, rng)


def _store(collection, entries: list[FileEntry], rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((len(entries), collection.config.dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [entry.path.read_text() for entry in entries]
    with collection.database.write():
        rows = collection.archive.append([text_hash(text) for text in texts], vectors)
        collection.ledger.queue(entries)
        for entry, text, row in zip(entries, texts, rows, strict=True):
            identity = document_id(entry.source)
            document = Document(
                identity, entry.source, text, entry.name, "markdown", (Section(0, len(text)),)
            )
            chunk = Chunk(
                chunk_id(identity, 0, len(text), text), identity, text, 0, len(text), None, ""
            )
            collection.store.upsert(
                document,
                [chunk],
                [row],
                modified_at=entry.mtime_ns / 1e9,
                size_bytes=entry.size,
            )
            collection.ledger.finish(
                entry.key, size=entry.size, mtime_ns=entry.mtime_ns, sha256="0" * 64, chunks=1
            )


def least_seconds(folder: Path) -> float:
    """Return the time of listing a tree and asking for every file's size and time."""
    command = [sys.executable, "-c", LIMIT, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[1])


def run(home: Path, folder: Path) -> tuple[dict[str, object], float, float]:
    """Run the command; return its report, its seconds from start to end, and those of its CPU."""
    command = [sys.executable, "-m", "indexer.cli", "--home", str(home), "index", str(folder)]
    started, cpu_started = time.perf_counter(), _cpu_seconds()
    done = subprocess.run([*command, "--prune", "--format", "json"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds() - cpu_started
    return json.loads(done.stdout), seconds, cpu_seconds


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(place: Path, files: int) -> dict[str, object]:
    folder, home = place / "files", place / "home"
    if not home.exists():
        write_tree(folder, files)
        fill(home, folder)
    least_seconds(folder)  # the first look fills the system's caches, for both alike
    # In turns, so that whatever else the machine does is in both.
    rounds = [(least_seconds(folder), run(home, folder)) for _ in range(3)]
    for _, (report, _, _) in rounds:
        assert report["unchanged"] == files, report
        assert report["embedded"] == 0
    least = min(least for least, _ in rounds)
    seconds = min(seconds for _, (_, seconds, _) in rounds)
    return {
        "files": files,
        "seconds": round(seconds, 2),
        "least_seconds": round(least, 2),
        "ratio": round(seconds / least, 1),
        "cpu_seconds": round(min(cpu for _, (_, _, cpu) in rounds), 2),
        "all_seconds": [round(seconds, 2) for _, (_, seconds, _) in rounds],
        "all_least_seconds": [round(least, 2) for least, _ in rounds],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="make the files here and leave them for later")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        print(json.dumps(measure(options.keep, options.files)))
        return
    with tempfile.TemporaryDirectory(prefix="gircse-unchanged-") as place:
        print(json.dumps(measure(Path(place), options.files)))


if __name__ == "__main__":
    main()
