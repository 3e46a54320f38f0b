"""A running app moves on to what another process rebuilt, without being started anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app import resources
from app.searching.query import PAGE_SIZE, Query, is_outdated, more
from app.services import Services
from indexer.collections.library import Library
from indexer.collections.rollback import roll_back
from indexer.embedder import Embedder
from indexer.reindexing.request import ReindexRequest
from indexer.reindexing.run import reindex
from tests.app.asking import ask
from tests.app.conftest import FEW
from tests.app.waiting import wait_until

QUERY = Query("default", "the tap drips", mode="dense")


@pytest.fixture
def searched(
    filled_home: Path,
    build_services: Callable[..., Services],
    minilm: Embedder,
    monkeypatch: pytest.MonkeyPatch,
) -> Services:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)
    built = build_services()
    built.models.get("gircse-minilm")
    return built


def rebuild(home: Path, embedder: Embedder, **wanted: int) -> None:
    """Rebuild the collection as another process would."""
    with Library(home).open("default") as collection:
        reindex(collection, ReindexRequest(**wanted), embedder=lambda name: embedder)


def test_a_search_finds_what_was_rebuilt(
    searched: Services, filled_home: Path, minilm: Embedder
) -> None:
    before = ask(searched, QUERY)
    assert (before.result.steps, before.result.generation) == (5, 1)
    rebuild(filled_home, minilm, steps=2)
    assert is_outdated(searched, before)
    after = ask(searched, QUERY)
    assert (after.result.steps, after.result.generation) == (2, 2)
    assert not is_outdated(searched, after)
    with Library(filled_home).open("default") as collection:
        roll_back(collection.directory)
    assert is_outdated(searched, after)
    assert ask(searched, QUERY).hits == before.hits


def test_further_hits_are_of_the_same_generation_as_the_first_ones(
    searched: Services, filled_home: Path, minilm: Embedder
) -> None:
    before = ask(searched, QUERY)
    rebuild(filled_home, minilm, max_tokens=60, context_tokens=10, overlap_tokens=0)
    longer = more(searched, before)
    assert len(longer.hits) == 2 * PAGE_SIZE
    assert [hit.rank for hit in longer.hits] == list(range(1, 2 * PAGE_SIZE + 1))
    assert not is_outdated(searched, longer)
    with searched.collections.use("default") as collection:
        known = collection.store.get([hit.chunk.id for hit in longer.hits])
        assert len(known) == 2 * PAGE_SIZE  # and none of those that were cut otherwise
    whole = longer
    while not whole.is_complete:
        whole = more(searched, whole)
    assert len({hit.chunk.id for hit in whole.hits}) == whole.result.total_chunks


def test_files_that_are_added_go_to_the_generation_that_is_live(
    searched: Services, filled_home: Path, minilm: Embedder, tmp_path: Path
) -> None:
    ask(searched, QUERY)
    rebuild(filled_home, minilm, steps=2)
    (tmp_path / "bees.md").write_text("# Bees\n\nBees swarm in May.\n", encoding="utf-8")
    searched.add_path("default", tmp_path / "bees.md")
    wait_until(lambda: not searched.worker.activity().is_busy)
    found = ask(searched, Query("default", "when do bees swarm", mode="dense"))
    assert found.hits[0].document.title == "Bees"
    assert found.result.generation == 2
    with Library(filled_home).open("default") as collection:
        assert len(collection.store.documents()) == len(FEW) + 1
        report = roll_back(collection.directory)
        assert report.missing == 1
        assert len(collection.store.documents()) == len(FEW)
