"""The library page, headless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import resources
from app.errors import ReadOnlyError
from app.services import Services
from indexer.embedder import Embedder
from indexer.index_report import IndexOptions
from indexer.library import Library
from indexer.pipeline import index_paths
from indexer.write_lock import WriteLock
from tests.app.conftest import DOCUMENTS
from tests.app.doubles import GatedEmbedder
from tests.app.waiting import wait_until

pytestmark = pytest.mark.usefixtures("shared_services")


@pytest.fixture(autouse=True)
def gated(minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> GatedEmbedder:
    embedder = GatedEmbedder(minilm)
    embedder.gate.set()
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: embedder)
    return embedder


def _draw() -> None:
    from app.pages import library

    library.show()


def page() -> AppTest:
    return AppTest.from_function(_draw, default_timeout=30).run()


def html(test: AppTest) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def button(test: AppTest, label: str):
    return next(found for found in test.button if found.label == label)


def upload(test: AppTest, *files: tuple[str, bytes]) -> AppTest:
    sent = [(name, content, "application/octet-stream") for name, content in files]
    return test.file_uploader[0].set_value(sent).run()


def settle(services: Services) -> None:
    wait_until(lambda: not services.worker.activity().is_busy)


def test_the_first_upload_makes_the_collection(
    home: Path, shared_services: Callable[[], Services]
) -> None:
    test = page()
    assert not test.exception
    upload(test, ("tap.md", (DOCUMENTS / "home/dripping-tap.md").read_bytes()), ("e.txt", b""))
    assert not test.exception
    settle(shared_services())
    test.run()
    assert "1 document" in test.caption[0].value
    assert not test.file_uploader[0].value  # emptied
    (table,) = test.dataframe
    assert list(table.value["Name"]) == ["tap.md"]
    assert list(table.value["From"]) == ["uploaded"]
    assert "1 file could not be searched" in test.expander[0].label
    assert "The file is empty" in html(test)


def test_hostile_names_are_only_text(home: Path, shared_services: Callable[[], Services]) -> None:
    name = '"><img src=x onerror=alert(1)>.txt'
    test = upload(page(), (name, b"A text about soaking dried beans overnight."), ("<b>.txt", b""))
    settle(shared_services())
    test.run()
    assert "<img" not in html(test)
    assert "<b>.txt" not in html(test)
    assert "&lt;b&gt;.txt" in html(test)
    assert list(test.dataframe[0].value["Name"]) == [name]


def test_a_folder_is_added_by_its_path(home: Path, shared_services: Callable[[], Services]) -> None:
    test = page()
    test.text_input[0].set_value(str(DOCUMENTS / "garden"))
    button(test, "Add").click().run()
    assert not test.exception
    settle(shared_services())
    test.run()
    assert "4 documents" in test.caption[0].value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "No path was given"),
        ("garden", "not an absolute path"),
        ("/no/such/folder", "does not exist"),
    ],
)
def test_a_path_that_cannot_be_is_explained(home: Path, path: str, message: str) -> None:
    test = page()
    test.text_input[0].set_value(path)
    button(test, "Add").click().run()
    assert message in test.error[0].value
    assert Library(home).names() == []  # nothing was made for it


def test_progress_is_shown_and_can_be_stopped(
    home: Path, gated: GatedEmbedder, shared_services: Callable[[], Services]
) -> None:
    gated.gate.clear()
    services = shared_services()
    services.create_collection("default")
    services.add_path("default", services.check_path(str(DOCUMENTS)))
    wait_until(gated.is_asked.is_set)
    test = page()
    assert not test.exception
    assert "of 48 files" in test.get("progress")[0].proto.text
    button(test, "Stop indexing").click().run()
    assert "Stopping after the current batch" in "".join(c.value for c in test.caption)
    gated.gate.set()
    settle(services)
    test.run()
    assert "Stopped" in test.info[0].value
    button(test, "Continue").click().run()
    settle(services)
    test.run()
    assert "48 documents" in test.caption[0].value


def test_another_writer_is_shown_as_what_it_is(
    home: Path, shared_services: Callable[[], Services]
) -> None:
    services = shared_services()
    services.create_collection("default")
    with WriteLock(home / "collections/default", name="default").hold("a backup"):
        upload(page(), ("tap.md", (DOCUMENTS / "home/dripping-tap.md").read_bytes()))
        wait_until(lambda: services.activity("default").held)
        test = page()
        assert not test.exception
        assert "a backup" in test.warning[0].value
        assert button(test, "Drop it")
    settle(services)
    assert "1 document" in page().caption[0].value


def test_a_failure_of_the_disk_is_told_and_nothing_is_lost(
    home: Path, monkeypatch: pytest.MonkeyPatch, shared_services: Callable[[], Services]
) -> None:
    services = shared_services()
    services.create_collection("default")
    (home / "uploads").write_text("in the way")
    test = upload(page(), ("a.txt", b"text"))
    assert not test.exception
    assert "uploads" in test.error[0].value
    (home / "uploads").unlink()
    test.run()
    assert not test.error
    settle(services)
    test.run()
    assert "1 document" in test.caption[0].value


def test_a_file_that_failed_is_tried_again_or_forgotten(
    home: Path, shared_services: Callable[[], Services]
) -> None:
    test = upload(page(), ("broken.pdf", b"%PDF-1.4 nothing"))
    services = shared_services()
    settle(services)
    test.run()
    assert "1 file could not be searched" in test.expander[0].label
    button(test, "Try again").click().run()
    settle(services)
    test.run()
    button(test, "Remove from the list").click().run()
    assert not test.exception
    assert not test.expander
    assert not list((home / "uploads").rglob("broken.pdf"))


def test_thousands_of_documents_come_page_by_page(
    filled_home: Path, shared_services: Callable[[], Services]
) -> None:
    test = page()
    assert len(test.dataframe[0].value) == 3
    test.text_input(key="names").set_value("tap").run()
    assert list(test.dataframe[0].value["Name"]) == ["dripping-tap.md"]
    test.text_input(key="names").set_value("nothing like it").run()
    assert not test.dataframe


def test_dialogs_ask_before_anything_is_deleted(filled_home: Path) -> None:
    test = page()
    button(test, "New collection").click().run()
    assert not test.exception
    assert [field.label for field in test.text_input][-1] == "Name"
    button(test, "Delete collection").click().run()
    assert not test.exception
    assert "3 documents" in test.markdown[-1].value
    assert button(test, "Keep it")
    assert Library(filled_home).names() == ["default"]


def test_paths_are_not_taken_from_other_machines(
    filled_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "is_local", lambda address: False)
    test = page()
    assert "gircse index PATH" in test.info[0].value
    assert not [field for field in test.text_input if "Path" in field.label]


def test_a_read_only_app_shows_and_offers_nothing_to_change(
    filled_home: Path, shared_services: Callable[[], Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    (broken := filled_home / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    with Library(filled_home).open("default") as collection:
        index_paths(collection, [broken], embedder=lambda: None, options=IndexOptions())
    monkeypatch.setenv("GIRCSE_READ_ONLY", "true")
    test = page()
    assert not test.exception
    assert not test.error
    assert "read-only" in " ".join(caption.value for caption in test.caption)
    assert len(test.dataframe[0].value) == 3
    assert "broken.pdf" in html(test)
    assert list(test.button) == []
    assert list(test.file_uploader) == []
    with pytest.raises(ReadOnlyError, match="--read-only"):
        shared_services().retry("default", [broken])
