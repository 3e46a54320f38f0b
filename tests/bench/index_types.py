"""Index types over many vectors: seconds to reindex, latency, recall@10, size, peak memory.

    python -m tests.bench.index_types [--count N] [--dim D] [--types flat,hnsw] [--folder DIR]

Random clustered vectors are stored once, as documents with passages, by way of archive and
database; each index type is then built from them, measured, and compared with plain FAISS: the same
kind of index, built from the same vectors out of memory and searched directly. Each step runs in a
process of its own, whose peak memory is the system's figure for it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PASSAGES_PER_DOCUMENT = 128
DOCUMENTS_PER_BATCH = 128
CLUSTERS = 1000
SPREAD = 0.7
QUERIES = 200


def batches(count: int, dim: int) -> Iterator[NDArray[np.float32]]:
    """Yield unit vectors around random centres, the same ones every time."""
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, dim)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    size = PASSAGES_PER_DOCUMENT * DOCUMENTS_PER_BATCH
    for number, begin in enumerate(range(0, count, size)):
        draw = np.random.default_rng(number + 1)
        rows = min(size, count - begin)
        noise = draw.standard_normal((rows, dim), dtype=np.float32) * float(SPREAD / np.sqrt(dim))
        vectors = centres[draw.integers(0, CLUSTERS, rows)] + noise
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def open_content(folder: Path) -> tuple[Any, Any]:
    from indexer.storage.archive import VectorArchive
    from indexer.storage.database import Database

    database = Database(folder / "collection.db")
    return database, VectorArchive(folder, database)


def load(folder: Path, count: int, dim: int) -> dict[str, float]:
    """Store documents with their passages and vectors."""
    from indexer.documents import Chunk, Document, chunk_id, document_id
    from indexer.stores.faiss import FaissStore

    database, archive = open_content(folder)
    store = FaissStore(folder / "index-flat", database, archive)
    started, made_s, first = time.perf_counter(), 0.0, 0
    source = batches(count, dim)
    while True:
        before = time.perf_counter()
        vectors = next(source, None)
        made_s += time.perf_counter() - before
        if vectors is None:
            break
        with database.write():
            hashes = [hashlib.sha256(b"%d" % (first + row)).digest() for row in range(len(vectors))]
            rows = archive.append(hashes, vectors)
            for begin in range(0, len(rows), PASSAGES_PER_DOCUMENT):
                part = rows[begin : begin + PASSAGES_PER_DOCUMENT]
                identity = document_id(f"/bench/{first + begin}")
                passages = [f"passage {row}" for row in part]
                chunks, end = [], 0
                for passage in passages:
                    start, end = end + bool(end), end + bool(end) + len(passage)
                    key = chunk_id(identity, start, end, passage)
                    chunks.append(Chunk(key, identity, passage, start, end, None, ""))
                text = " ".join(passages)
                document = Document(identity, f"/bench/{first + begin}", text, "", "text", (), {})
                store.upsert(document, chunks, part, modified_at=0.0, size_bytes=len(text))
        first += len(vectors)
    seconds = time.perf_counter() - started - made_s
    database.close()
    return {"seconds": seconds}


def reindex(folder: Path, name: str) -> dict[str, float]:
    """Build and write an index from the stored vectors."""
    from indexer.stores.faiss import FaissStore

    database, archive = open_content(folder)
    place = folder / f"index-{name}"
    place.mkdir(exist_ok=True)
    store = FaissStore(place, database, archive, name)
    started = time.perf_counter()
    if not store.build():
        raise SystemExit("the index was not built: another process holds its lock")
    return {"seconds": time.perf_counter() - started}


def measure(folder: Path, name: str) -> dict[str, object]:
    """Open the index as a search would, and measure it."""
    from indexer.stores.faiss import FaissStore
    from indexer.stores.index_measurement import measure_index

    database, archive = open_content(folder)
    store = FaissStore(folder / f"index-{name}", database, archive, name)
    started = time.perf_counter()
    store.search(archive.read([0]), top_k=10)
    first_ms = 1000.0 * (time.perf_counter() - started)
    return measure_index(store, queries=QUERIES).as_dict() | {"first_ms": first_ms}


def plain(folder: Path, name: str, count: int, dim: int) -> dict[str, float]:
    """Build and write the same index with FAISS alone, and search it directly."""
    import faiss

    from indexer.stores.exact_search import nearby_queries, nearest_rows, recall_at
    from indexer.stores.index_stamp import IndexStamp
    from indexer.stores.index_types import INDEX_TYPES
    from indexer.stores.row_set import RowSet

    stamp = IndexStamp.read(folder / f"index-{name}" / "index.json")
    kind = INDEX_TYPES[stamp.built_as]
    vectors = np.empty((count, dim), dtype=np.float32)
    begin = 0
    for part in batches(count, dim):
        vectors[begin : begin + len(part)] = part
        begin += len(part)
    index = kind.new(dim, count)
    target = folder / "plain.faiss"
    started = time.perf_counter()
    drawn = kind.training_rows(count)
    if drawn:
        index.train(vectors[np.random.default_rng(0).choice(count, drawn, replace=False)])
    index.add_with_ids(vectors, np.arange(count))
    faiss.write_index(index, str(target))
    with target.open("rb") as stream:
        os.fsync(stream.fileno())
    seconds = time.perf_counter() - started
    del vectors
    target.unlink()
    _, archive = open_content(folder)
    rows = RowSet.of(np.arange(count))
    queries = nearby_queries(archive, rows, count=QUERIES)
    exact = [one.rows for one in nearest_rows(archive, rows, queries, top_k=10)]
    parameters = None
    if kind.structure == "graph":
        parameters = faiss.SearchParametersHNSW(efSearch=stamp.effort)
    elif kind.codes == "rabitq":
        parameters = faiss.IVFRaBitQSearchParameters(nprobe=stamp.effort)
    elif kind.structure == "lists":
        parameters = faiss.SearchParametersIVF(nprobe=stamp.effort)
    faiss.omp_set_num_threads(1)  # quicker for one query at a time
    found, milliseconds = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(index.search(query[None], 10, params=parameters)[1][0])
        milliseconds.append(1000.0 * (time.perf_counter() - started))
    return {
        "seconds": seconds,
        "median_ms": float(np.median(milliseconds)),
        "recall_at_10": recall_at(exact, found),
    }


STEPS = {"load": load, "reindex": reindex, "measure": measure, "plain": plain}


def run(step: str, *arguments: object) -> dict[str, Any]:
    """Run a step in a process of its own; return what it says, and its peak memory in MB."""
    command = [sys.executable, "-m", "tests.bench.index_types", "--step", step]
    with subprocess.Popen(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{step} failed")
    return json.loads(output) | {"peak_mb": usage.ru_maxrss / 1024}


def perform(step: str, arguments: list[str]) -> None:
    folder, *rest = arguments
    values = [int(value) if value.isdigit() else value for value in rest]
    print(json.dumps(STEPS[step](Path(folder), *values)))  # type: ignore[operator]


def compare(folder: Path, names: list[str], count: int, dim: int) -> None:
    loaded = run("load", folder, count, dim)
    print(
        f"{count:,} vectors of width {dim} stored in {loaded['seconds']:.1f} s "
        f"({count / loaded['seconds']:,.0f}/s), peak memory {loaded['peak_mb']:,.0f} MB"
    )
    titles = ["reindex s", "plain s", "ratio", "p50 ms", "p95 ms", "plain ms", "ratio", "first ms"]
    titles += ["recall", "plain", "MB", "peak MB"]
    print(f"{'type':<11}" + "".join(f"{title:>10}" for title in titles))
    for name in names:
        built = run("reindex", folder, name)
        seen = run("measure", folder, name)
        peer = run("plain", folder, name, count, dim)
        cells = [
            f"{built['seconds']:.1f}",
            f"{peer['seconds']:.1f}",
            f"{built['seconds'] / peer['seconds']:.2f}",
            f"{seen['median_ms']:.2f}",
            f"{seen['p95_ms']:.2f}",
            f"{peer['median_ms']:.2f}",
            f"{seen['median_ms'] / peer['median_ms']:.2f}",
            f"{seen['first_ms']:.0f}",
            f"{seen['recall_at_10']:.3f}",
            f"{peer['recall_at_10']:.3f}",
            f"{seen['size_bytes'] / 1e6:.0f}",
            f"{max(built['peak_mb'], seen['peak_mb']):,.0f}",
        ]
        print(f"{name:<11}" + "".join(f"{cell:>10}" for cell in cells), flush=True)


def main() -> None:
    from indexer.stores.index_types import INDEX_TYPES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--types", default=",".join(INDEX_TYPES))
    parser.add_argument("--folder", type=Path, help="where to put the files, some 6 GB a million")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        perform(options.step, options.arguments)
        return
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), options.types.split(","), options.count, options.dim)


if __name__ == "__main__":
    main()
