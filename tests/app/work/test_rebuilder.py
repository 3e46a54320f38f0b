"""Rebuilds in the background, with everything real below them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import resources
from app.library.rebuild_texts import (
    done_text,
    plan_lines,
    progress_text,
    reverted_text,
    share_of_phase,
)
from app.library.versions import previous_version
from app.services import Services
from app.work.rebuild_requests import RebuildRequests
from indexer.collections.library import Library
from indexer.embedder import Embedder, ModelError
from indexer.errors import CollectionBusyError, UsageError
from indexer.reindexing.drafts import find_draft
from indexer.reindexing.rebuild_note import RebuildRight
from indexer.reindexing.request import IndexWish, ReindexRequest
from tests.app.conftest import DOCUMENTS, FEW, BuildServices
from tests.app.doubles import GatedEmbedder
from tests.app.waiting import wait_until

TWO_STEPS = ReindexRequest(steps=2)


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


def steps(services: Services) -> int:
    with services.collections.use("default") as collection:
        return collection.config.steps


def finish(services: Services) -> None:
    wait_until(lambda: not services.upkeep.rebuilds.state("default").is_busy)


def test_a_collection_is_rebuilt_while_it_is_searched_and_returned(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = build_services()
    gated.gate.clear()
    plan = services.upkeep.rebuilds.plan("default", TWO_STEPS)
    assert plan_lines(plan)[0].startswith("All of 3 documents are embedded anew")
    services.upkeep.rebuild("default", TWO_STEPS)
    wait_until(gated.is_asked.is_set)
    state = services.upkeep.rebuilds.state("default")
    assert (state.is_busy, state.is_running, state.is_stuck) == (True, True, False)
    assert re.fullmatch(r"Rebuilding: embedding · 0 of \d+ passages", progress_text(state))
    assert share_of_phase(state) == 0.0
    assert steps(services) == 5
    with pytest.raises(CollectionBusyError, match="is being rebuilt already"):
        services.upkeep.rebuild("default", TWO_STEPS)
    with pytest.raises(CollectionBusyError, match="is being rebuilt"):
        services.upkeep.rename("default", "other")
    gated.gate.set()
    finish(services)
    assert steps(services) == 2
    done = services.upkeep.rebuilds.state("default").done
    assert done is not None
    assert "gircse-minilm, 2 steps" in done_text(done)
    services.upkeep.rebuilds.dismiss("default")
    assert services.upkeep.rebuilds.state("default").done is None

    version = previous_version(services.library, "default")
    assert version is not None
    assert (version.model, version.steps, version.max_tokens) == ("gircse-minilm", 5, 200)
    services.add_path(
        "default", services.check_path(str(DOCUMENTS / "home/boiler-losing-pressure.md"))
    )
    wait_until(lambda: not services.worker.activity().is_busy)
    report = services.upkeep.revert("default")
    assert steps(services) == 5
    assert "Not in it: 1 document" in reverted_text(report, version)
    assert "5 steps" in reverted_text(report, version)


def test_a_rebuild_is_cancelled_at_work_and_before_its_turn(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = build_services()
    services.create_collection("other")
    gated.gate.clear()
    services.upkeep.rebuild("default", TWO_STEPS)
    wait_until(gated.is_asked.is_set)
    services.upkeep.rebuild("other", TWO_STEPS)
    waiting = services.upkeep.rebuilds.state("other")
    assert waiting.is_busy
    assert not waiting.is_running
    assert progress_text(waiting) == "Rebuilding: waiting for its turn"
    services.upkeep.rebuilds.cancel("other")
    assert not services.upkeep.rebuilds.state("other").is_busy
    gated.gate.set()
    services.upkeep.rebuilds.cancel("default")
    finish(services)
    state = services.upkeep.rebuilds.state("default")
    assert (state.note, state.problem, state.done) == (None, "", None)
    assert steps(services) == 5
    assert find_draft(services.library.directory("default")) is None


def test_a_rebuild_goes_on_when_the_app_is_started_again(
    build_services: BuildServices, gated: GatedEmbedder, home: Path
) -> None:
    gated.gate.clear()
    first = build_services()
    first.upkeep.rebuild("default", TWO_STEPS)
    wait_until(gated.is_asked.is_set)
    gated.gate.set()
    first.close()
    again = build_services()
    finish(again)
    assert steps(again) == 2
    assert not list((home / "rebuilds").iterdir())


def test_a_rebuild_that_fails_says_why_and_goes_on_when_asked(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = build_services()
    gated.failure = ModelError("the device ran out of memory; use a smaller model")
    services.upkeep.rebuild("default", TWO_STEPS)
    finish(services)
    state = services.upkeep.rebuilds.state("default")
    assert state.is_stuck
    assert state.can_go_on
    assert "out of memory" in state.problem
    assert steps(services) == 5
    gated.failure = None
    services.upkeep.rebuilds.go_on("default")
    finish(services)
    assert steps(services) == 2
    assert not services.upkeep.rebuilds.state("default").is_stuck


def test_a_surprise_ends_one_rebuild_and_not_the_thread(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = build_services()
    gated.failure = ZeroDivisionError("never thought of")
    services.upkeep.rebuild("default", TWO_STEPS)
    finish(services)
    assert "ZeroDivisionError" in services.upkeep.rebuilds.state("default").problem
    gated.failure = None
    services.upkeep.rebuilds.cancel("default")
    assert not services.upkeep.rebuilds.state("default").is_stuck
    services.upkeep.rebuild("default", TWO_STEPS)
    finish(services)
    assert steps(services) == 2


def test_a_request_that_cannot_be_removed_does_not_end_the_thread(
    build_services: BuildServices, home: Path
) -> None:
    services = build_services(is_started=False)
    services.create_collection("other")
    services.upkeep.rebuild("default", TWO_STEPS)
    services.library.delete("default")
    (request,) = (home / "rebuilds").iterdir()
    request.unlink()
    request.mkdir()  # which is not removed as a file is
    services.start()
    services.upkeep.rebuild("other", TWO_STEPS)
    wait_until(lambda: services.upkeep.rebuilds.state("other").done)


def test_what_another_program_rebuilds_is_seen_and_what_it_left_is_given_up(
    build_services: BuildServices, home: Path
) -> None:
    services = build_services()
    right = RebuildRight(home / "collections/default")
    with right.hold():
        state = services.upkeep.rebuilds.state("default")
        assert state.is_running
        assert progress_text(state) == "Rebuilding: beginning"
        with pytest.raises(CollectionBusyError, match="already"):
            services.upkeep.rebuild("default", TWO_STEPS)
        right.stop()
    state = services.upkeep.rebuilds.state("default")
    assert state.is_stuck
    assert not state.can_go_on  # nothing was done
    services.upkeep.rebuilds.cancel("default")
    assert not services.upkeep.rebuilds.state("default").is_stuck


def test_the_version_before_is_a_way_out_of_damage(
    build_services: BuildServices, home: Path
) -> None:
    services = build_services()
    services.upkeep.rebuild("default", TWO_STEPS)
    finish(services)
    services.collections.retire("default")
    (home / "collections/default/content-2/settings.json").write_text("{")
    version = previous_version(services.library, "default")
    assert version is not None
    assert version.steps == 5
    report = services.upkeep.revert("default")
    assert "cannot be read" in reverted_text(report, version)
    assert steps(services) == 5


def test_what_cannot_be_is_refused_at_once(build_services: BuildServices) -> None:
    services = build_services()
    with pytest.raises(UsageError, match="refines by"):
        services.upkeep.rebuild("default", ReindexRequest(steps=65))
    with pytest.raises(ModelError, match="no-such-model"):
        services.upkeep.rebuild("default", ReindexRequest(model="no-such-model"))
    assert not services.upkeep.rebuilds.state("default").is_asked_for


def test_a_collection_is_deleted_while_it_is_rebuilt(
    build_services: BuildServices, gated: GatedEmbedder, home: Path
) -> None:
    services = build_services()
    gated.gate.clear()
    services.upkeep.rebuild("default", TWO_STEPS)
    wait_until(gated.is_asked.is_set)
    gated.gate.set()
    services.delete_collection("default")
    assert Library(home).names() == []
    assert not list((home / "rebuilds").iterdir())
    services.create_collection("default")
    assert not services.upkeep.rebuilds.state("default").is_busy


def test_requests_outlive_the_app_in_the_order_of_asking(tmp_path: Path) -> None:
    requests = RebuildRequests(tmp_path / "rebuilds")
    wish = ReindexRequest(wish=IndexWish(index="sq8"), vectors="fp16")
    requests.put("b", TWO_STEPS)
    requests.put("a", wish)
    again = RebuildRequests(tmp_path / "rebuilds")
    assert set(again.ids()) == {"a", "b"}
    assert (again.get("a"), again.get("b"), again.get("c")) == (wish, TWO_STEPS, None)
    again.remove("a")
    again.remove("a")
    assert RebuildRequests(tmp_path / "rebuilds").ids() == ["b"]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"steps": 2}', json.dumps({"wish": {"index": "x"}})]
)
def test_a_damaged_request_is_named_in_the_log_and_left_aside(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    requests = RebuildRequests(tmp_path)
    requests.put("b", TWO_STEPS)
    (tmp_path / "a.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        assert RebuildRequests(tmp_path).ids() == ["b"]
    assert "a.json" in caplog.text


def test_nothing_is_rebuilt_by_an_app_that_only_shows(
    build_services: BuildServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIRCSE_READ_ONLY", "true")
    services = build_services()
    for act in (
        lambda: services.upkeep.rebuild("default", TWO_STEPS),
        lambda: services.upkeep.revert("default"),
        lambda: services.upkeep.check("default"),
        lambda: services.upkeep.rename("default", "other"),
    ):
        with pytest.raises(UsageError, match="read-only"):
            act()
    assert steps(services) == 5
    assert len(FEW) == 3
