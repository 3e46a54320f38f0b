from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import open_collections
from app.open_collections import OpenCollections
from indexer.collections.library import Library
from indexer.errors import CollectionBusyError


@pytest.fixture
def collections(tmp_path: Path) -> OpenCollections:
    library = Library(tmp_path / "home")
    library.create("notes", model="gircse-minilm").close()
    return OpenCollections(library)


def test_a_collection_is_closed_for_a_moment_and_opened_anew(collections: OpenCollections) -> None:
    with collections.use("notes") as first:
        pass
    with collections.closed("notes"):
        pass
    with collections.closed("nobody opened this"):
        pass
    with collections.use("notes") as second:
        assert second is not first
    collections.close()


def test_who_uses_a_collection_is_waited_for(collections: OpenCollections) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with collections.use("notes") as opened:
            begun.set()
            assert release.wait(30)
            assert opened.ledger.totals().documents == 0  # it is open to the end
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    threading.Timer(0.2, release.set).start()
    with collections.closed("notes"):
        thread_is_done = ended.wait(30)
    thread.join()
    assert thread_is_done
    collections.close()


def test_who_uses_it_for_long_keeps_it_open(
    collections: OpenCollections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_collections, "_PATIENCE_S", 0.05)
    with collections.use("notes") as opened:
        with (
            pytest.raises(CollectionBusyError, match="has been in use"),
            collections.closed("notes"),
        ):
            pytest.fail("it is in use")
        assert opened.ledger.totals().documents == 0
    collections.close()


def test_while_one_is_closed_others_are_used_and_who_wants_it_waits(
    collections: OpenCollections, tmp_path: Path
) -> None:
    Library(tmp_path / "home").create("other", model="gircse-minilm").close()

    def use(name: str) -> str:
        with collections.use(name) as opened:
            return opened.name

    with ThreadPoolExecutor(2) as threads:
        with collections.closed("notes"):
            waiting = threads.submit(use, "notes")
            assert threads.submit(use, "other").result(timeout=30) == "other"
            time.sleep(0.2)
            assert not waiting.done()
        assert waiting.result(timeout=30) == "notes"
    collections.close()


def test_a_block_that_fails_opens_the_collection_again(collections: OpenCollections) -> None:
    with pytest.raises(CollectionBusyError, match="a backup"), collections.closed("notes"):
        raise CollectionBusyError("a backup")
    with collections.use("notes") as opened:
        assert opened.name == "notes"
    collections.close()
