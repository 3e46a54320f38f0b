"""Whole collections are deleted and checked, with everything real below the app's parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import resources
from indexer.collections.write_lock import WriteLock
from indexer.embedder import Embedder
from indexer.errors import CollectionBusyError
from indexer.reindexing.request import ReindexRequest
from tests.app.conftest import BuildServices
from tests.app.doubles import GatedEmbedder
from tests.app.waiting import wait_until


@pytest.fixture(autouse=True)
def gated(
    filled_home: Path, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatedEmbedder]:
    """The default model behind a gate that is open unless a test closes it."""
    embedder = GatedEmbedder(minilm)
    embedder.gate.set()
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: embedder)
    yield embedder
    embedder.gate.set()


@pytest.mark.parametrize(
    "damaged",
    ["collection.json", "generations.json", "content-1/settings.json", "content-1/collection.db"],
)
def test_a_collection_that_cannot_be_opened_can_be_deleted(
    build_services: BuildServices, home: Path, damaged: str
) -> None:
    path = home / "collections/default" / damaged
    assert path.is_file()
    path.write_bytes(b"{ not what it was")
    services = build_services()
    services.delete_collection("default")
    assert services.library.names() == []


def test_a_collection_that_cannot_be_deleted_now_keeps_its_rebuild(
    build_services: BuildServices, gated: GatedEmbedder, home: Path
) -> None:
    services = build_services()
    gated.gate.clear()
    services.upkeep.rebuild("default", ReindexRequest(steps=2))
    wait_until(gated.is_asked.is_set)
    with (
        WriteLock(home / "collections/default", name="default").hold("a backup"),
        pytest.raises(CollectionBusyError, match="a backup"),
    ):
        services.delete_collection("default")
    assert services.upkeep.rebuilds.state("default").is_running
    gated.gate.set()
    wait_until(lambda: not services.upkeep.rebuilds.state("default").is_busy)
    with services.collections.use("default") as collection:
        assert collection.config.steps == 2
