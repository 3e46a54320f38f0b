"""Rebuilds of the index alone: every type, the choice by budgets, and Qdrant."""

from __future__ import annotations

import threading

import pytest

from indexer.collections.generations import read_generations
from indexer.collections.rollback import roll_back
from indexer.errors import StorageError, UsageError
from indexer.reindexing.request import IndexWish, ReindexRequest
from indexer.searching.results import SearchRequest
from indexer.stores.index_types import INDEX_TYPES
from indexer.verification.verifier import verify
from tests.indexer.reindexing.rebuilds import Bench, SteppedEmbedder, live


@pytest.fixture
def large(tmp_path) -> Bench:
    """Enough chunks for a graph to be built."""
    bench = Bench(tmp_path)
    for part in range(4):
        text = "".join(f"Sentence {part}-{number} of very many.\n\n" for number in range(2500))
        bench.write(f"large-{part}.txt", text)
    bench.write_many(4)
    bench.index()
    return bench


def wish(**asked: object) -> ReindexRequest:
    return ReindexRequest(wish=IndexWish(**asked))


@pytest.mark.slow
def test_every_type_is_built_measured_and_searched(large: Bench):
    with large.open() as collection:
        chunks = len(collection.store)
    assert chunks > 2000
    for name in INDEX_TYPES:
        report = large.reindex(wish(index=name))
        assert report.outcome == "done"
        assert report.after.index == name
        measured = live(large).measured
        assert measured["vectors"] == chunks
        assert measured["recall_at_10"] >= 0.8
        assert measured["median_ms"] > 0
        assert large.asked == []
        with large.open() as collection:
            for stored, vectors in collection.store.scroll(batch_size=200):
                hits = collection.store.search(vectors[:20], top_k=1)
                found = [hit[0].chunk_id for hit in hits]
                wanted = [one.chunk.id for one in stored[:20]]
                assert sum(a == b for a, b in zip(found, wanted, strict=True)) >= 18
                break
        assert verify(large.directory).problems == ()
    with large.open() as collection:  # each over the same content: the previous one holds
        roll_back(collection.directory)
    assert live(large).index == list(INDEX_TYPES)[-2]


def test_the_type_stays_as_it_is_unless_asked(large: Bench):
    large.reindex(wish(index="sqfp16"))
    assert large.reindex().after.index == "sqfp16"
    assert large.reindex(steps=1).after.index == "sqfp16"


def test_budgets_choose_and_say_why(large: Bench):
    report = large.reindex(wish(index="auto"))
    assert report.after.index == "flat"
    assert "vectors of width 16" in report.after.why
    tight = large.reindex(wish(budget_mb=0.05))
    assert tight.after.index != "flat"
    assert "MB" in tight.after.why
    assert read_generations(large.directory).live.why == tight.after.why


def test_an_unknown_type_is_refused():
    with pytest.raises(UsageError, match="no index type 'octree'; known: flat, sqfp16"):
        IndexWish(index="octree")


def test_a_stopped_build_leaves_nothing(large: Bench):
    stop = threading.Event()

    def watch(progress) -> None:
        if progress.phase == "indexing":
            stop.set()

    report = large.reindex(wish(index="hnsw"), on_progress=watch, should_stop=stop.is_set)
    assert report.outcome == "stopped"
    assert large.folders() == {"content-1", "index-1"}
    assert live(large).number == 1


def test_an_index_that_finds_nothing_is_not_put_to_use(bench: Bench, monkeypatch):
    from indexer.stores.faiss import FaissStore

    monkeypatch.setattr(FaissStore, "search", lambda self, vectors, **_: [[] for _ in vectors])
    with pytest.raises(StorageError, match="not found by their own vectors"):
        bench.reindex()
    monkeypatch.undo()
    assert live(bench).number == 1
    assert bench.folders() == {"content-1", "index-1"}
    bench.check()


class TestQdrant:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GIRCSE_QDRANT_PATH", str(tmp_path / "qdrant"))

    def search(self, bench: Bench) -> list[tuple[str, float]]:
        with bench.open() as collection:
            config = collection.config
            embedder = SteppedEmbedder(bench.models[config.model])
            result = collection.searcher(lambda: embedder).search(SearchRequest("river stone"))
            return [(hit.chunk.id, round(hit.score, 4)) for hit in result.hits]

    def test_there_and_back_without_a_model(self, bench: Bench):
        before = self.search(bench)
        report = bench.reindex(wish(store="qdrant"))
        assert (report.after.store, report.outcome) == ("qdrant", "done")
        assert live(bench).measured["recall_at_10"] == 1.0
        assert self.search(bench) == before
        bench.write("new.txt", "A document that goes to Qdrant at once: river stone.")
        bench.index()
        bench.check()
        after = self.search(bench)
        report = bench.reindex(wish(store="faiss"))
        assert (report.after.store, report.after.index) == ("faiss", "flat")
        assert self.search(bench) == after
        assert bench.asked == []
        with bench.open() as collection:
            roll_back(collection.directory)
        assert live(bench).store == "qdrant"
        assert self.search(bench) == after
        assert verify(bench.directory).problems == ()

    def test_more_steps_stay_in_qdrant(self, bench: Bench):
        bench.reindex(wish(store="qdrant"))
        report = bench.reindex(steps=2)
        assert report.after.store == "qdrant"
        assert report.embedded > 0
        bench.check()
        assert len(self.search(bench)) == 10
