"""What a chunk costs in Qdrant: bytes on the disk by part, and how fast chunks are loaded.

    python -m tests.bench.qdrant [--chunks N] [--dim D] [--texts FOLDER] [--url URL | --folder]
    python -m tests.bench.qdrant --engine [--quantization none|scalar|binary] [--dim D]

The first form loads chunks into a server (or a folder of the local mode) as ``gircse reindex
--store qdrant`` does, and says how many a second; with ``--prepare`` it makes the requests and
sends none, which is what our own side costs. The second form puts the same points into Qdrant's
engine in this process (``pip install qdrant-edge-py``, which nothing else here needs), lets it
optimise, and counts the bytes of each part; it also compares its BM25 with the embedded store's.

Passages are windows of real text (the sample's, or ``--texts``); vectors are random and clustered.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.documents import Chunk, Document, chunk_id, document_id, embedding_text, text_hash
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.stores import lexical, writing
from indexer.stores.qdrant.batches import chunk_batches
from indexer.stores.qdrant.bm25 import exact_score, query_weights
from indexer.stores.qdrant.settings import QdrantSettings
from indexer.stores.qdrant.statistics import content_tokens, weighed_by_content
from indexer.stores.qdrant.store import QdrantStore
from indexer.stores.reading import known_documents

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "documents"
CHUNKS_PER_DOCUMENT = 20
CHARACTERS = 1100
CLUSTERS = 200
QUERIES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--texts", type=Path, default=SAMPLE)
    parser.add_argument("--url")
    parser.add_argument("--grpc", action="store_true")
    parser.add_argument("--folder", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--quantization", default="none", choices=["none", "scalar", "binary"])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--upload-threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        database = Database(Path(place) / "collection.db")
        archive = VectorArchive(Path(place), database, dim=options.dim)
        fill(database, archive, options)
        if options.engine:
            measure_engine(database, archive, options, Path(place) / "engine")
        elif options.prepare:
            prepare(database, archive, options)
        else:
            upload(database, archive, options, Path(place) / "qdrant")
        archive.close()
        database.close()


def windows(folder: Path) -> Iterator[str]:
    """Yield passages of real text for ever, cut at white space."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in {".md", ".txt", ".rst"})
    text = "\n\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    text = text.replace("\x00", " ")
    rng = random.Random(7)
    while True:
        begin = rng.randrange(max(1, len(text) - 2 * CHARACTERS))
        length = int(rng.gauss(CHARACTERS, CHARACTERS / 5))
        yield " ".join(text[begin : begin + max(200, length)].split(" ")[1:-1])


def vectors(
    count: int, dim: int, rng: np.random.Generator, centres: NDArray[np.float64]
) -> NDArray[np.float32]:
    drawn = centres[rng.integers(0, len(centres), count)] + 0.6 * rng.standard_normal((count, dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def fill(database: Database, archive: VectorArchive, options: argparse.Namespace) -> None:
    """Make a content of documents with twenty chunks each."""
    rng = np.random.default_rng(11)
    centres = rng.standard_normal((CLUSTERS, options.dim))
    passages = windows(options.texts)
    for number in range(options.chunks // CHUNKS_PER_DOCUMENT):
        source = f"/srv/documents/department-{number % 40}/report-{number:07d}.md"
        identity, text, chunks = document_id(source), "", []
        for _ in range(CHUNKS_PER_DOCUMENT):
            passage = next(passages)
            start = len(text)
            text += passage + "\n\n"
            end = start + len(passage)
            chunks.append(
                Chunk(
                    chunk_id(identity, start, end, passage),
                    identity,
                    passage,
                    start,
                    end,
                    None,
                    f"Report {number} \u203a Section {start % 17}",
                )
            )
        document = Document(
            identity, source, text, f"Report {number}", "markdown", (), {"author": "A. Writer"}
        )
        with database.write() as connection:
            texts = [embedding_text(chunk) for chunk in chunks]
            rows = archive.append(
                [text_hash(one) for one in texts], vectors(len(texts), options.dim, rng, centres)
            )
            writing.replace_document(
                connection, document, chunks, rows, modified_at=1.7e9 + number, size_bytes=len(text)
            )


def points(
    database: Database, archive: VectorArchive, options: argparse.Namespace
) -> Iterator[list[Any]]:
    with database.read() as connection:
        typical = content_tokens(connection) / options.chunks
        yield from chunk_batches(
            connection,
            archive,
            sorted(known_documents(connection)),
            typical_tokens=typical,
            revision="0123456789abcdef",
            batch_size=options.batch_size,
        )


def prepare(database: Database, archive: VectorArchive, options: argparse.Namespace) -> None:
    import qdrant_client  # noqa: F401 - a second that is not the points'

    started, count, size = time.process_time(), 0, 0
    for batch in points(database, archive, options):
        count += len(batch)
        if count <= 1000:
            size += sum(len(point.model_dump_json()) for point in batch)
    seconds = time.process_time() - started
    print(f"prepared {count:,} points in {seconds:.1f} s of one core: ", end="")
    print(f"{count / seconds:,.0f} a second")
    print(f"about {size / min(count, 1000):,.0f} bytes a point as JSON")
    held = {True: 0, False: 0}
    for file in database.path.parent.rglob("*"):
        if file.is_file():
            held[file.suffix == ".npy"] += file.stat().st_size
    print(f"the collection's own files: {held[False] / count:,.0f} bytes a chunk in the database,")
    print(f"{held[True] / count:,.0f} in vectors")


def upload(
    database: Database, archive: VectorArchive, options: argparse.Namespace, folder: Path
) -> None:
    settings = QdrantSettings(
        url=None if options.folder else (options.url or "http://localhost:6333"),
        path=folder if options.folder else None,
        grpc=options.grpc,
        quantization=options.quantization,
        batch_size=options.batch_size,
        upload_threads=options.upload_threads,
    )
    store = QdrantStore(database, archive, settings, f"bench-{int(time.time())}")
    started = time.perf_counter()
    store.build(
        progress=lambda done, total: print(f"{done:,} of {total:,} chunks", end="\r", flush=True)
    )
    seconds = time.perf_counter() - started
    print(f"loaded {options.chunks:,} chunks into {settings.place} in {seconds:.1f} s:", end=" ")
    print(f"{options.chunks / seconds:,.0f} a second")
    queries = [next(windows(options.texts))[:60] for _ in range(20)]
    for leg in ("dense", "lexical"):
        times = []
        for number, query in enumerate(queries):
            begun = time.perf_counter()
            if leg == "dense":
                store.search(archive.read([number * 7]), top_k=100)
            else:
                store.search_text(query, top_k=100)
            times.append(time.perf_counter() - begun)
        print(f"{leg}: median {1000 * float(np.median(times)):.1f} ms for 100 hits")
    store.close()


def measure_engine(
    database: Database, archive: VectorArchive, options: argparse.Namespace, folder: Path
) -> None:
    import qdrant_edge as engine

    quantization = {
        "none": None,
        "scalar": engine.ScalarQuantizationConfig(
            type=engine.ScalarType.Int8, quantile=0.99, always_ram=True
        ),
        "binary": engine.BinaryQuantizationConfig(always_ram=True),
    }[options.quantization]
    config = engine.EdgeConfig(
        vectors={
            "dense": engine.EdgeVectorParams(
                size=options.dim,
                distance=engine.Distance.Dot,
                on_disk=True,
                quantization_config=quantization,
            )
        },
        sparse_vectors={
            "words": engine.EdgeSparseVectorParams(on_disk=True, modifier=engine.Modifier.Idf)
        },
        on_disk_payload=True,
        hnsw_config=engine.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=1000),
        optimizers=engine.EdgeOptimizersConfig(indexing_threshold=1000, default_segment_number=1),
    )
    folder.mkdir()
    shard = engine.EdgeShard.create(str(folder), config)
    for field, kind in (
        ("document", engine.PayloadSchemaType.Uuid),
        ("media_type", engine.PayloadSchemaType.Keyword),
        ("modified_at", engine.PayloadSchemaType.Float),
        ("revision", engine.PayloadSchemaType.Keyword),
    ):
        shard.update(engine.UpdateOperation.create_field_index(field, kind))
    started = time.perf_counter()
    for batch in points(database, archive, options):
        shard.update(
            engine.UpdateOperation.upsert_points([as_engine(engine, one) for one in batch])
        )
    loaded = time.perf_counter() - started
    started = time.perf_counter()
    shard.optimize()
    shard.flush()
    optimised = time.perf_counter() - started
    print(f"{options.chunks:,} chunks of {options.dim}-d, {options.quantization}: ", end="")
    print(f"loaded in {loaded:.1f} s, optimised in {optimised:.1f} s")
    compare_words(shard, engine, database, options)
    shard.close()
    show_sizes(folder, options.chunks)


def as_engine(engine: Any, point: Any) -> Any:
    vector = {"dense": point.vector["dense"]}
    if "words" in point.vector:
        words = point.vector["words"]
        vector["words"] = engine.SparseVector(indices=words.indices, values=words.values)
    return engine.Point(id=point.id, vector=vector, payload=point.payload)


def compare_words(shard: Any, engine: Any, database: Database, options: argparse.Namespace) -> None:
    """Say how far the engine's own scores, and ours of its vectors, are from FTS5's."""
    texts = windows(options.texts)
    raw, exact, overlap, first, count = [0.0], [0.0], 0, 0, 0
    with database.read() as connection:
        typical = content_tokens(connection) / options.chunks
        for _ in range(QUERIES):
            query = " ".join(next(texts).split()[:8])
            weighed = weighed_by_content(connection, query)
            weights = query_weights(weighed)
            if not weights:
                continue
            sparse = engine.SparseVector(indices=list(weights), values=list(weights.values()))
            hits = shard.query(
                engine.QueryRequest(
                    query=engine.Query.Nearest(sparse, using="words"),
                    limit=10,
                    with_payload=["tokens"],
                    with_vector=["words"],
                )
            )
            expected = lexical.search_words(connection, query, top_k=10, documents=None)
            true = lexical.score_words(connection, query, [str(hit.id) for hit in hits])
            for hit in hits:
                words = hit.vector["words"]
                ours = exact_score(
                    weighed,
                    words.indices,
                    words.values,
                    tokens=hit.payload["tokens"],
                    typical_tokens=typical,
                )
                raw.append(abs(hit.score / true[str(hit.id)] - 1.0))
                exact.append(abs(ours - true[str(hit.id)]))
            overlap += len({one.chunk_id for one in expected} & {str(hit.id) for hit in hits})
            first += bool(hits) and expected[0].chunk_id == str(hits[0].id)
            count += 1
    print(f"BM25 over {count} queries: scores of the engine are within {max(raw):.2e} of FTS5's")
    print(f"(relative), ours of its vectors within {max(exact):.2e} (absolute); of the first ten")
    print(f"{overlap / (10 * count):.1%} are the same, the very first is in {first / count:.1%}")


def show_sizes(folder: Path, chunks: int) -> None:
    sizes: defaultdict[str, int] = defaultdict(int)
    for file in folder.rglob("*"):
        if file.is_file():
            sizes[part_of(file.relative_to(folder))] += file.stat().st_blocks * 512
    total = sum(sizes.values())
    for part, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{part:40s} {size / chunks:10,.1f} bytes a chunk")
    print(f"{'all':40s} {total / chunks:10,.1f} bytes a chunk")


PARTS = {
    "vector_storage-dense": "vectors",
    "vector_index-dense": "graph",
    "vector_storage-words": "words, as stored",
    "vector_index-words": "words, inverted",
    "payload_storage": "payload",
    "payload_index": "payload indexes",
    "wal": "write-ahead log (emptied in time)",
}


def part_of(path: Path) -> str:
    if path.name.startswith("quantized"):
        return "quantised vectors"
    return next((PARTS[name] for name in path.parts if name in PARTS), "ids and the rest")


if __name__ == "__main__":
    main()
