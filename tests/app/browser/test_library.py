"""The library page in a real browser: one app, a collection for each test."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from app.library.file_states import PROBLEM_STATES
from indexer.collections.library import Library
from tests.app.browser.library_page import (
    DROP,
    LONG_MS,
    ZONE,
    add_folder,
    choose,
    drop,
    line,
    manage,
    of_bytes,
    open_library,
    payload,
    search,
    write_texts,
)
from tests.app.browser.watching import Watched, click, enter, expect
from tests.app.conftest import DOCUMENTS
from tests.app.server_process import Served, served
from tests.app.waiting import wait_until

TAP = DOCUMENTS / "home" / "dripping-tap.md"
PDF = DOCUMENTS / "kitchen" / "storing-food-safely.pdf"
IMAGE_NAME = '"><img src=x onerror=alert(1)>.txt'
SCRIPT = "<script>alert(2)</script> A marmot whistles before it hides from the eagle."


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over a home that is empty at first."""
    folder = tmp_path_factory.mktemp("served")
    with served(folder / "home", log=folder / "log") as running:
        yield running
        assert running.end() == 0
    assert "Traceback" not in (folder / "log").read_text()


def test_the_first_run_leads_from_nothing_to_a_found_passage(app: Served, page: Page) -> None:
    if Library(app.home).names():
        pytest.skip("another test made a collection before")
    page.goto(app.url)
    expect(page.get_by_text("There is nothing to search yet.")).to_be_visible()
    click(page.get_by_role("link", name="Add documents"))
    expect(page.get_by_text("Nothing can be searched here yet")).to_be_visible()
    expect(page.get_by_role("button", name="Manage")).to_have_count(0)
    choose(page, payload(TAP))
    expect(line(page, TAP.name)).to_contain_text("ready · 3 passages", timeout=LONG_MS)
    expect(page.get_by_text("1 document ·")).to_be_visible()
    expect(page.get_by_text("Nothing can be searched here yet")).to_have_count(0)
    click(page.get_by_role("link", name="Search"))
    enter(page.get_by_role("searchbox", name="What are you looking for?"), "limescale in the tap")
    expect(page.locator(".gs-hit").first).to_contain_text(TAP.name, timeout=LONG_MS)


def mixed_files() -> list[tuple[str, bytes]]:
    """Return 45 files that can be read, and 5 that cannot."""
    sample = sorted(path for path in DOCUMENTS.rglob("*") if path.is_file())[:40]
    files = [(path.name, path.read_bytes()) for path in sample]
    files += [(f"note-{n}.txt", f"Note {n}: water the fern.".encode()) for n in range(5)]
    return [
        *files,
        ("cut-off.pdf", PDF.read_bytes()[:700]),
        ("not-a-document.docx", b"PK\x03\x04 and then nothing of the kind"),
        ("empty.txt", b""),
        ("blank.md", b" \n \n"),
        ("noise.bin", bytes(range(256)) * 9),
    ]


def test_fifty_files_are_dropped_and_each_tells_what_became_of_it(app: Served, page: Page) -> None:
    open_library(page, app, "mixed")
    files = mixed_files()
    assert len(files) == 50
    page.locator(ZONE).first.wait_for()
    sent = [[name, base64.b64encode(content).decode()] for name, content in files]
    page.evaluate(DROP, [ZONE, sent])
    expect(page.get_by_text("of 50 files")).to_be_visible(timeout=LONG_MS)
    done = page.get_by_text("45 ready · 2 no text · 2 failed · 1 skipped", exact=True)
    expect(done).to_be_visible(timeout=LONG_MS)
    assert page.locator(".gs-files li").count() == 50
    for name, _ in files[:45]:
        expect(line(page, name).first).to_contain_text("ready ·")
    for name, state, cause in (
        ("cut-off.pdf", "failed", "fetch it again"),
        ("not-a-document.docx", "failed", "."),
        ("empty.txt", "no text", "The file is empty"),
        ("blank.md", "no text", "."),
        ("noise.bin", "skipped", "."),
    ):
        expect(line(page, name)).to_contain_text(state)
        expect(line(page, name).locator(".gs-detail")).to_contain_text(cause)
    expect(page.get_by_text("45 documents ·")).to_be_visible()
    problems = page.get_by_text("5 files could not be searched: 2 failed, 2 no text, 1 skipped")
    click(problems)
    expect(page.locator(".gs-problem")).to_have_count(5)
    begun = time.time()
    click(page.get_by_role("button", name="Try all 5 again"))
    wait_until(lambda: times(app, "mixed") > begun)
    expect(done).to_be_visible(timeout=LONG_MS)
    click(page.get_by_role("button", name="Clear this list"))
    expect(page.locator(".gs-files")).to_have_count(0)


def times(app: Served, name: str) -> float:
    """Return when the first of the files that cannot be searched was last looked at."""
    with Library(app.home).open(name) as collection:
        rows = collection.ledger.rows(states=PROBLEM_STATES)
        return min((row.updated_at for row in rows), default=0.0)


def test_the_same_files_dropped_once_more_are_known(app: Served, page: Page) -> None:
    open_library(page, app, "twice")
    sent = [[TAP.name, base64.b64encode(TAP.read_bytes()).decode()]]
    page.locator(ZONE).first.wait_for()
    page.evaluate(DROP, [ZONE, sent])
    expect(line(page, TAP.name)).to_contain_text("ready", timeout=LONG_MS)
    page.locator(ZONE).first.wait_for()
    page.evaluate(DROP, [ZONE, sent])
    expect(page.get_by_text("known already")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("1 document ·")).to_be_visible()


def test_a_whole_folder_is_uploaded_and_keeps_its_folders(
    app: Served, page: Page, tmp_path: Path
) -> None:
    (tmp_path / "garden/2024").mkdir(parents=True)
    for place in ("garden", "garden/2024"):
        (tmp_path / place / "notes.txt").write_text(f"Notes of {place}: the hedgehog sleeps.")
    open_library(page, app, "folder")
    click(page.get_by_role("tab", name=re.compile(r"\bFolder$")))
    page.locator('input[type="file"][webkitdirectory]').set_input_files(tmp_path / "garden")
    expect(page.get_by_text("2 documents ·")).to_be_visible(timeout=LONG_MS)
    expect(line(page, "notes.txt")).to_have_count(2)
    search(page, app, "folder", "sleeping hedgehog")
    hits = page.locator(".gs-hit")
    expect(hits.get_by_text("uploaded, in garden/2024")).to_be_visible(timeout=LONG_MS)


@pytest.mark.parametrize("tab", ["Files", "Folder"])
def test_a_folder_is_dropped_with_the_mouse(
    app: Served, page: Page, tmp_path: Path, tab: str
) -> None:
    (tmp_path / "burrow/winter").mkdir(parents=True)
    for place in ("burrow", "burrow/winter"):
        (tmp_path / place / "notes.txt").write_text(f"Notes of {place}: the badger sleeps.")
    open_library(page, app, f"dropped-{tab}")
    click(page.get_by_role("tab", name=re.compile(rf"\b{tab}$")))
    expect(page.locator(f"{ZONE}:visible")).to_have_count(1)
    drop(page, tmp_path / "burrow")
    expect(page.get_by_text("2 documents ·")).to_be_visible(timeout=LONG_MS)
    expect(line(page, "notes.txt")).to_have_count(2)


def test_an_upload_of_300_mb_is_refused_in_words_and_the_rest_is_taken(
    app: Served, watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    large = tmp_path / "'><b>holiday film.pdf"
    with large.open("wb") as file:
        file.truncate(300 << 20)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    open_library(page, app, "large")
    refusal = page.locator("#gs-refused")
    choose(page, large)
    expect(refusal).to_contain_text("'><b>holiday film.pdf was not added")
    expect(refusal).to_contain_text("larger than the 200 MB that one upload may have")
    expect(refusal).to_contain_text("Path on this machine")
    expect(refusal).to_have_attribute("role", "alert")
    assert "PUT" not in sent
    page.reload()
    choose(page, large, TAP)
    expect(line(page, TAP.name)).to_contain_text("ready", timeout=LONG_MS)
    expect(refusal).to_contain_text("holiday film.pdf was not added")  # still, beside the other
    assert refusal.locator("b").count() == 0
    assert sent.count("PUT") == 1
    expect(page.get_by_text("1 document ·")).to_be_visible()


def test_names_and_texts_of_strangers_are_only_text(
    app: Served, watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / IMAGE_NAME).write_text(SCRIPT)
    (tmp_path / "texts" / f"empty-{IMAGE_NAME}").write_text("")
    open_library(page, app, "hostile")
    add_folder(page, tmp_path / "texts")
    expect(line(page, f"empty-{IMAGE_NAME}")).to_contain_text("no text", timeout=LONG_MS)
    expect(line(page, IMAGE_NAME).filter(has_text="ready")).to_have_count(1)
    choose(page, of_bytes(f"sent-{IMAGE_NAME}", SCRIPT.encode()))
    expect(page.get_by_text("2 documents ·")).to_be_visible(timeout=LONG_MS)
    click(page.get_by_text("1 file could not be searched"))
    expect(page.locator(".gs-problem")).to_contain_text(IMAGE_NAME)
    search(page, app, "hostile", "marmot and eagle")
    first = page.locator(".gs-hit").first
    expect(first).to_contain_text(SCRIPT, timeout=LONG_MS)
    assert page.locator("img[src=x]").count() == 0
    assert watched.dialogs == []


def test_indexing_is_paused_continued_and_cancelled(
    app: Served, page: Page, tmp_path: Path
) -> None:
    open_library(page, app, "paused", steps=5)  # so that it takes a while
    choose(page, payload(TAP))
    expect(line(page, TAP.name)).to_contain_text("ready", timeout=LONG_MS)
    add_folder(page, write_texts(tmp_path / "texts", 60))
    expect(page.get_by_text("of 60 files")).to_be_visible(timeout=LONG_MS)
    expect(page.locator(".gs-files").get_by_text("embedding ").first).to_be_visible(timeout=LONG_MS)
    search(page, app, "paused", "limescale in the cartridge")
    expect(page.locator(".gs-hit").first).to_be_visible(timeout=LONG_MS)
    open_library(page, app, "paused")
    click(page.get_by_role("button", name="Pause"))  # so it was still at work all the time
    expect(page.get_by_text("Paused:")).to_be_visible(timeout=LONG_MS)
    click(page.get_by_role("button", name="Continue"))
    expect(page.get_by_text("of 60 files")).to_be_visible(timeout=LONG_MS)
    click(page.get_by_role("button", name="Cancel"))
    expect(page.get_by_role("progressbar")).to_have_count(0, timeout=LONG_MS)
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("to do")).to_have_count(0)
    wait_until(lambda: states(app, "paused") == {"ready"})


def states(app: Served, name: str) -> set[str]:
    with Library(app.home).open(name) as collection:
        return set(collection.ledger.totals().states)


def test_a_document_is_read_and_deleted(app: Served, page: Page) -> None:
    open_library(page, app, "delete")
    choose(page, payload(TAP), of_bytes("fern.txt", b"Water the fern on Mondays."))
    expect(page.get_by_text("2 documents ·")).to_be_visible(timeout=LONG_MS)
    table = page.locator(".stDataFrame .dvn-scroller")
    table.wait_for()
    page.wait_for_timeout(500)  # the grid is painted once its size is known
    click(table, position={"x": 16, "y": 52})  # the mark of the first row
    click(page.get_by_role("button", name="Delete 1 document"))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("will no longer be found")
    click(dialog.get_by_role("button", name="Keep them"))
    expect(dialog).to_have_count(0)
    click(page.get_by_role("button", name="Delete 1 document"))
    click(dialog.get_by_role("button", name="Delete", exact=True))
    expect(page.get_by_text("1 document ·")).to_be_visible()


def test_a_collection_is_made_renamed_and_deleted(app: Served, page: Page) -> None:
    open_library(page, app, "other")
    click(page.get_by_role("button", name="New collection"))
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill("not/possible")
    click(dialog.get_by_role("button", name="Create"))
    expect(dialog).to_contain_text("cannot be a collection's name")
    dialog.get_by_role("textbox", name="Name").fill("work")
    click(dialog.get_by_role("button", name="Create"))
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Add files to “work”")).to_be_visible()
    choose(page, payload(TAP))
    expect(line(page, TAP.name)).to_contain_text("ready", timeout=LONG_MS)
    dialog = manage(page, "Rename")
    dialog.get_by_role("textbox", name="New name").fill("archive")
    click(dialog.get_by_role("button", name="Rename"))
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Add files to “archive”")).to_be_visible()
    expect(page.get_by_text("1 document ·")).to_be_visible()
    dialog = manage(page, "Delete")
    expect(dialog).to_contain_text("archive will be deleted")
    expect(dialog).to_contain_text("1 document")
    expect(dialog).to_contain_text("3 passages")
    expect(dialog).to_contain_text("copies of uploaded files")
    click(dialog.get_by_role("button", name="Delete", exact=True))
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Add files to “archive”")).to_have_count(0)
    assert not {"work", "archive"} & set(Library(app.home).names())


def test_a_collection_is_checked(app: Served, page: Page) -> None:
    open_library(page, app, "checked")
    choose(page, payload(TAP))
    expect(line(page, TAP.name)).to_contain_text("ready", timeout=LONG_MS)
    expect(page.get_by_text("not checked yet")).to_be_visible()
    manage(page, "Check that all is sound")
    expect(page.get_by_text("all is sound")).to_be_visible(timeout=LONG_MS)
