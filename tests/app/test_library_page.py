"""The library page, headless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import resources
from app.errors import ReadOnlyError
from app.services import Services
from indexer.collections.library import Library
from indexer.collections.write_lock import WriteLock
from indexer.embedder import Embedder
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.app.conftest import DOCUMENTS
from tests.app.doubles import GatedEmbedder
from tests.app.many import make_large_collection
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
    return AppTest.from_function(_draw, default_timeout=120).run()


def html(test: AppTest) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def said(test: AppTest) -> str:
    # The pages escape all punctuation of what they show.
    return " ".join(element.value for element in test.markdown).replace("\\", "")


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


def test_the_name_of_a_collection_is_shown_as_it_is(
    home: Path, shared_services: Callable[[], Services]
) -> None:
    shared_services().create_collection("_notes_")
    assert "\\_notes\\_" in page().file_uploader[0].label


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
        ("~nobody-of-that-name/notes", "knows no such user"),
        ("/no/such/folder", "does not exist"),
    ],
)
def test_a_path_that_cannot_be_is_explained(home: Path, path: str, message: str) -> None:
    test = page()
    test.text_input[0].set_value(path)
    button(test, "Add").click().run()
    assert message in test.error[0].value
    assert Library(home).names() == []  # nothing was made for it


def test_progress_is_shown_and_indexing_is_paused_and_continued(
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
    assert "passages" in html(test)  # embedding so many of so many
    button(test, "Pause").click().run()
    assert "Stopping after the current batch" in "".join(c.value for c in test.caption)
    gated.gate.set()
    settle(services)
    test.run()
    assert "Paused" in test.info[0].value
    assert button(test, "Cancel")
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
        assert button(test, "Cancel")
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


def test_names_are_looked_for_and_what_is_not_there_is_said(filled_home: Path) -> None:
    test = page()
    assert len(test.dataframe[0].value) == 3
    test.text_input(key="names").set_value("tap").run()
    assert list(test.dataframe[0].value["Name"]) == ["dripping-tap.md"]
    test.text_input(key="names").set_value("nothing like it").run()
    assert not test.dataframe
    assert "No document has such a name" in test.caption[-1].value


def test_thousands_of_documents_and_waiting_files_come_page_by_page(
    home: Path, gated: GatedEmbedder, shared_services: Callable[[], Services], tmp_path: Path
) -> None:
    make_large_collection(home, 3000, waiting=1000)
    gated.gate.clear()
    texts = tmp_path / "texts"
    texts.mkdir()
    paths = [texts / f"{number}.txt" for number in range(200)]
    for path in paths:
        path.write_text(path.name)
    services = shared_services()
    services.queue.add("default", paths, kind="files")
    services.worker.notify()
    wait_until(gated.is_asked.is_set)
    test = page()
    assert not test.exception
    assert "3,000 documents" in test.caption[0].value
    assert "of 200 files" in test.get("progress")[0].proto.text
    assert html(test).count("<li") == 40  # of those to be done
    assert list(test.dataframe[0].value["Name"]) == [f"note-{n:05d}.txt" for n in range(25)]
    test.session_state["page-default-"] = 120
    test.run()
    assert list(test.dataframe[0].value["Name"])[-1] == "note-02999.txt"
    test.selectbox(key="order").set_value("Newest first").run()
    assert list(test.dataframe[0].value["Name"])[-1] == "note-00000.txt"
    test.text_input(key="names").set_value("note-0299").run()
    assert list(test.dataframe[0].value["Name"]) == [
        f"note-{n:05d}.txt" for n in range(2999, 2989, -1)
    ]
    services.worker.cancel("default")
    gated.gate.set()
    wait_until(lambda: not services.queue.dropped() and not services.worker.activity().is_busy)


def test_the_limit_of_uploads_is_said_with_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIRCSE_UPLOAD_MB", "7")
    test = page()
    assert "up to 7 MB a file" in " ".join(caption.value for caption in test.caption)
    assert "larger than the 7 MB that one upload may have" in html(test)
    assert "Path on this machine" in html(test)


def manage(test: AppTest, action: str) -> AppTest:
    menu = test.menu_button(key="manage")
    option = next(option for option in menu.options if action in option)
    test.menu_button(key="manage").click(option).run()
    assert not test.exception
    return test


def test_dialogs_ask_before_anything_is_deleted(filled_home: Path) -> None:
    test = page()
    button(test, "New collection").click().run()
    assert not test.exception
    assert [field.label for field in test.text_input][-1] == "Name"
    manage(test, "Delete")
    assert "3 documents" in said(test)
    assert "passages" in said(test)
    assert "on the disk" in said(test)
    assert "copies" not in said(test)  # there are none
    assert button(test, "Keep it")
    assert Library(filled_home).names() == ["default"]


def dialog(call: str) -> AppTest:
    """Return a page that is nothing but a dialog, which stays open."""
    script = f"""
from app.pages.collection_dialogs import ask_to_delete, ask_to_rename
from app.pages.rebuild_dialogs import ask_for_rebuild, ask_for_revert
from app.resources import services
from app.library.versions import previous_version
from indexer.collections.summary import summarize

parts = services()
if "default" in parts.library.names():
    summary = summarize(parts.library.directory("default"))
    {call}
"""
    return AppTest.from_string(script, default_timeout=120).run()


def test_a_collection_is_renamed_or_the_refusal_explained(filled_home: Path) -> None:
    test = dialog("ask_to_rename(parts, 'default')")
    (name,) = test.text_input
    assert name.value == "default"
    name.set_value("not/possible")
    button(test, "Rename").click().run()
    assert "cannot be a collection" in test.error[0].value
    test.text_input[0].set_value("kitchen")
    button(test, "Rename").click().run()
    assert not test.exception
    assert Library(filled_home).names() == ["kitchen"]
    assert "**kitchen**" in page().caption[0].value


def test_a_rebuild_is_planned_done_and_returned_from(
    filled_home: Path, shared_services: Callable[[], Services]
) -> None:
    test = dialog("ask_for_rebuild(parts, summary)")
    assert "only the search index" in said(test)
    test.slider[0].set_value(2).run()
    assert "3 documents are embedded anew" in said(test)
    test.number_input[0].set_value(100).run()
    button(test, "Rebuild").click().run()
    services = shared_services()
    wait_until(lambda: not services.upkeep.rebuilds.state("default").is_busy)
    test = page()
    assert "2 steps" in test.success[0].value
    assert "refined by 2 steps" in test.caption[0].value
    test = dialog("ask_for_revert(parts, 'default', previous_version(parts.library, 'default'))")
    assert "5 steps, passages of up to 200 tokens" in said(test)
    button(test, "Return to it").click().run()
    assert not test.exception
    test = page()
    assert "refined by 5 steps" in test.caption[0].value
    assert not test.success


def test_a_check_tells_what_is_wrong_and_a_repair_mends_it(
    filled_home: Path, shared_services: Callable[[], Services]
) -> None:
    services = shared_services()
    test = page()
    assert "not checked yet" in test.caption[0].value
    manage(test, "Check")
    wait_until(lambda: services.upkeep.health("default").running is None)
    assert "all is sound" in page().caption[0].value
    (index,) = (filled_home / "collections/default").glob("index-1/*.faiss")
    content = bytearray(index.read_bytes())
    content[-1] ^= 1
    services.collections.retire("default")
    index.write_bytes(content)
    manage(page(), "Check")
    wait_until(lambda: services.upkeep.health("default").running is None)
    test = page()
    assert "1 fault found" in test.caption[0].value
    assert "index" in test.error[0].value
    button(test, "Repair").click().run()
    wait_until(lambda: services.upkeep.health("default").running is None)
    test = page()
    assert "all is sound" in test.caption[0].value
    assert "built anew" in test.info[0].value


def test_a_damaged_collection_is_shown_and_can_be_deleted(filled_home: Path) -> None:
    (filled_home / "collections/default/collection.json").write_text("{")
    test = page()
    assert not test.exception
    assert "cannot be read" in test.error[0].value
    assert not any("Rename" in option for option in test.menu_button(key="manage").options)
    test = dialog("ask_to_delete(parts, summary)")
    assert "on the disk" in said(test)
    button(test, "Delete").click().run()
    assert not test.exception
    assert Library(filled_home).names() == []


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
