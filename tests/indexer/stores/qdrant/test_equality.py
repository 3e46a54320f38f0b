"""The same real text in the embedded store and in Qdrant: the same hits, scores and order."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from indexer.collections.fingerprint import Fingerprint
from indexer.documents import (
    Chunk,
    Document,
    chunk_id,
    document_id,
    embedding_text,
    text_hash,
)
from indexer.searching.filters import Where
from indexer.searching.results import SearchRequest
from indexer.searching.search import Searcher
from indexer.stores.base import VectorStore
from indexer.stores.qdrant.reader import QdrantReader
from indexer.stores.qdrant.settings import QdrantSettings
from indexer.stores.qdrant.store import QdrantStore
from tests.indexer.cli.conftest import WordEmbedder
from tests.indexer.stores.content import Opened, open_store
from tests.indexer.stores.qdrant.rest import RestServer, serving
from tests.indexer.stores.writer import PASSAGES_PER_VERSION, version

SAMPLE = Path(__file__).parents[4] / "data" / "sample" / "documents"
QUERIES = [
    "when do I plant out seedlings after frost",
    "the of and to",
    "open the file and read it again",
    "error",
    "how long does it take",
    "water water water",
    "a word that nobody wrote: xyzzy",
    "is the the same for all of us",
    "Section",
    "Please note that you can use this in your own work.",
    '"in the morning" water',
    "water -soil -the",
    'how "do not" -"the first"',
]
WHERES = [
    None,
    Where(path_glob="*.md"),
    Where(media_types=("text",)),
    Where(modified_after=10.0, modified_before=25.0),
    Where(path_glob="nowhere"),
]


class Info:
    """What a searcher asks of a model."""

    name, dim = "double", 64
    min_steps = max_steps = default_steps = 0


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The sample's documents in passages of some lines, in the embedded store."""
    opened = open_store("faiss", tmp_path_factory.mktemp("content"))
    double = WordEmbedder(Info())
    files = sorted(file for file in SAMPLE.rglob("*") if file.suffix in (".md", ".txt", ".rst"))
    for number, file in enumerate(files[:40]):
        text = file.read_text(encoding="utf-8")
        identity = document_id(str(file))
        cuts = [*range(0, len(text), 700), len(text)]
        chunks = [
            Chunk(
                chunk_id(identity, begin, end, text[begin:end]),
                identity,
                text[begin:end],
                begin,
                end,
                None,
                f"{file.stem} \u203a Part {begin // 1400}",
            )
            for begin, end in pairwise(cuts)
            if begin < end
        ]
        kind = "markdown" if file.suffix == ".md" else "text"
        document = Document(identity, f"/s/{file.name}", text, file.stem, kind, ())
        texts = [embedding_text(chunk) for chunk in chunks]
        with opened.database.write():
            vectors = double.embed_documents(texts).astype(np.float32)
            rows = opened.archive.append([text_hash(one) for one in texts], vectors)
            opened.store.upsert(
                document, chunks, rows, modified_at=float(number), size_bytes=len(text)
            )
    assert len(opened.store) > 100
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server() -> Iterator[RestServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module", params=["writer", "reader"])
def qdrant(
    request: pytest.FixtureRequest, embedded: Opened, server: RestServer
) -> Iterator[VectorStore]:
    settings = QdrantSettings(url=server.url)
    store = QdrantStore(embedded.database, embedded.archive, settings, "equal")
    store.flush()
    yield store if request.param == "writer" else QdrantReader(settings, "equal")
    store.close()


@pytest.mark.parametrize("where", WHERES, ids=repr)
@pytest.mark.parametrize(
    ("mode", "fusion"),
    [("hybrid", "weighted"), ("hybrid", "rrf"), ("lexical", "weighted"), ("dense", "weighted")],
)
def test_hits_scores_and_order_are_equal(
    embedded: Opened, qdrant: VectorStore, mode, fusion, where
) -> None:
    double = WordEmbedder(Info())
    fingerprint = Fingerprint({}, 0, {})
    here = Searcher(embedded.store, lambda: double, fingerprint)
    there = Searcher(qdrant, lambda: double, fingerprint)
    for query in QUERIES:
        request = SearchRequest(query, top_k=20, mode=mode, fusion=fusion, where=where)
        expected, found = here.search(request), there.search(request)

        assert [hit.chunk.id for hit in found.hits] == [hit.chunk.id for hit in expected.hits]
        for one, other in zip(found.hits, expected.hits, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert one.dense_score == pytest.approx(other.dense_score, abs=1e-5)
            assert one.lexical_score == pytest.approx(other.lexical_score, abs=1e-5)
            assert (one.chunk, one.document) == (other.chunk, other.document)
            assert one.highlights == other.highlights


def test_words_of_any_number_are_scored_alike(embedded: Opened, qdrant: VectorStore) -> None:
    draw = random.Random(3)
    words = " ".join(
        one.chunk.text for stored, _ in embedded.store.scroll() for one in stored
    ).split()
    for _ in range(25):
        query = " ".join(draw.choices(words, k=draw.choice([1, 2, 5, 12, 40])))
        expected = embedded.store.search_text(query, top_k=15)

        found = qdrant.search_text(query, top_k=15)

        assert [hit.chunk_id for hit in found] == [hit.chunk_id for hit in expected]
        assert [hit.score for hit in found] == pytest.approx(
            [hit.score for hit in expected], abs=1e-5
        )


def test_a_search_while_a_document_is_replaced_never_finds_neither_version(tmp_path: Path) -> None:
    """Old and new passages may be seen side by side; passages of no version never."""
    with serving() as server:
        settings = QdrantSettings(url=server.url)
        opened = open_store("faiss", tmp_path)
        opened.store = QdrantStore(opened.database, opened.archive, settings, "changing")
        opened.add("changing", version(0))
        faults: list[BaseException] = []
        stopped = threading.Event()

        def search() -> None:
            reader = QdrantReader(settings, "changing")
            try:
                while not stopped.is_set():
                    ids = [hit.chunk_id for hit in reader.search_text("revised", top_k=100)]
                    assert len(ids) == len(set(ids)) >= PASSAGES_PER_VERSION
            except BaseException as fault:
                faults.append(fault)
            finally:
                reader.close()

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1, 8):
            opened.add("changing", version(number))
        stopped.set()
        for thread in threads:
            thread.join(timeout=60)
        opened.close()
    assert not faults
