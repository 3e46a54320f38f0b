"""Checks and repairs in the background, with everything real below them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app import resources
from app.services import Services
from app.work import checking
from app.work.checking import CheckState
from indexer.embedder import Embedder
from indexer.errors import CollectionBusyError, StorageError
from indexer.verification.content import OnProgress
from indexer.verification.repair import Repair, repair
from tests.app.conftest import BuildServices
from tests.app.waiting import wait_until


@pytest.fixture(autouse=True)
def model(filled_home: Path, minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)


def checked(services: Services, *, mends: bool = False) -> CheckState:
    services.upkeep.check("default", mends=mends)
    wait_until(lambda: services.upkeep.health("default").running is None)
    return services.upkeep.health("default")


def checked_id(services: Services) -> str:
    """Check a collection, and return its id."""
    assert checked(services).last
    with services.collections.use("default") as collection:
        return collection.id


def fail(directory: Path, **_: object) -> None:
    raise StorageError("no room")


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_sound_collection_is_found_to_be_so_and_that_is_remembered(
    build_services: BuildServices,
) -> None:
    services = build_services()
    assert services.upkeep.health("default") == CheckState()
    last = checked(services).last
    assert last is not None
    assert last.is_sound
    assert last.checked_at > 0
    services.upkeep.rename("default", "papers")
    assert build_services(is_started=False).upkeep.health("papers").last == last
    services.delete_collection("papers")
    assert not list((services.library.home / "checks").iterdir())


def test_damage_is_named_and_mended_and_what_suffered_is_read_again(
    build_services: BuildServices, home: Path
) -> None:
    services = build_services()
    services.collections.retire("default")
    (vectors,) = (home / "collections/default").glob("content-1/vectors/*.npy")
    flip_last_byte(vectors)
    last = checked(services).last
    assert last is not None
    assert not last.is_sound
    assert vectors.name in " ".join(last.problems)
    mended = checked(services, mends=True)
    assert mended.last is not None
    assert mended.last.is_sound
    assert mended.last.done
    wait_until(lambda: not services.worker.activity().is_busy)
    with services.collections.use("default") as collection:
        assert collection.ledger.totals().states == {"ready": 3}
        assert len(collection.store.documents()) == 3


def test_a_repair_of_the_file_with_the_id_is_followed_to_its_end(
    build_services: BuildServices, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = build_services()
    identity = checked_id(services)
    flip_last_byte(home / "collections/default/collection.json")
    before = checked(services).last
    assert before is not None
    assert not before.is_sound
    is_mended, may_end = threading.Event(), threading.Event()

    def slow(directory: Path, *, on_progress: OnProgress) -> Repair:
        mended = repair(directory, on_progress=on_progress)
        is_mended.set()
        assert may_end.wait(60)
        return mended

    monkeypatch.setattr(checking, "repair", slow)
    services.upkeep.check("default", mends=True)
    assert is_mended.wait(60)
    running = services.upkeep.health("default").running
    assert running is not None
    assert running.is_repair
    with pytest.raises(CollectionBusyError, match="being checked already"):
        services.upkeep.check("default")
    may_end.set()
    wait_until(lambda: services.upkeep.health("default").running is None)
    last = services.upkeep.health("default").last
    assert last is not None
    assert last.is_sound
    assert last.done
    assert [path.stem for path in (home / "checks").iterdir()] == [identity]


def test_what_was_found_without_an_id_goes_with_the_collection(
    build_services: BuildServices, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = build_services()
    (home / "collections/default/collection.json").write_text("{")
    last = checked(services).last
    assert last is not None
    assert not last.is_sound
    monkeypatch.setattr(checking, "verify", fail)
    assert checked(services).problem
    services.delete_collection("default")
    services.create_collection("default")
    (home / "collections/default/collection.json").write_text("{")
    assert services.upkeep.health("default") == CheckState()


def test_one_check_at_a_time_and_an_end_of_the_app_in_its_middle(
    build_services: BuildServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = build_services()
    begun = threading.Event()

    def slow(directory: Path, *, on_progress: Callable[[str, int, int], None]) -> None:
        for _ in range(6000):
            on_progress("vectors", 1, 4)
            begun.set()
            time.sleep(0.01)

    monkeypatch.setattr(checking, "verify", slow)
    services.upkeep.check("default")
    assert begun.wait(60)
    running = services.upkeep.health("default").running
    assert running is not None
    assert (running.what, running.done, running.total) == ("vectors", 1, 4)
    with pytest.raises(CollectionBusyError, match="being checked already"):
        services.upkeep.check("default")
    services.close()
    assert services.upkeep.health("default") == CheckState()


@pytest.mark.parametrize("error", [StorageError("no room"), ZeroDivisionError("never thought of")])
def test_a_check_that_fails_says_why(
    build_services: BuildServices, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(directory: Path, **_: object) -> None:
        raise error

    services = build_services()
    monkeypatch.setattr(checking, "verify", fail)
    state = checked(services)
    assert str(error) in state.problem
    assert state.last is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"checked_at": "now"}'])
def test_a_damaged_result_is_none(build_services: BuildServices, home: Path, content: str) -> None:
    services = build_services()
    checked(services)
    (result,) = (home / "checks").iterdir()
    result.write_text(content)
    assert services.upkeep.health("default").last is None


def test_a_repair_waits_for_nobody_for_ever(build_services: BuildServices, home: Path) -> None:
    from indexer.collections.write_lock import WriteLock

    services = build_services()
    services.collections.retire("default")
    (vectors,) = (home / "collections/default").glob("content-1/vectors/*.npy")
    flip_last_byte(vectors)
    with WriteLock(home / "collections/default", name="default").hold("a backup"):
        state = checked(services, mends=True)
    assert "a backup" in state.problem
