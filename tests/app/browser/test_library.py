"""Adding, following, finding and deleting documents in a real browser."""

from __future__ import annotations

import base64
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from indexer.library import Library
from tests.app.browser.watching import Watched
from tests.app.conftest import DOCUMENTS
from tests.app.serving import Served, served

IMAGE_NAME = "'><img src=x onerror=alert(1)>.txt"  # browsers send a double quote as %22
SCRIPT = "<script>alert(2)</script> A marmot whistles before it hides from the eagle."
DROP = """([target, files]) => {
    const data = new DataTransfer()
    for (const [name, content] of files) {
        const bytes = Uint8Array.from(atob(content), sign => sign.charCodeAt(0))
        data.items.add(new File([bytes], name))
    }
    const zone = document.querySelector(target)
    for (const type of ['dragenter', 'dragover', 'drop'])
        zone.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true}))
}"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    """The app over an empty home of the test's own."""
    with served(tmp_path / "home", log=tmp_path / "log") as running:
        yield running
        assert running.end() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def open_library(page: Page, app: Served) -> None:
    page.goto(app.url)
    page.get_by_role("link", name="Library").click()
    expect(page.get_by_role("heading", name="Library")).to_be_visible()


def choose(page: Page, *files: FilePayload) -> None:
    page.locator('input[type="file"]').set_input_files(list(files))


def payload(path: Path) -> FilePayload:
    return {"name": path.name, "mimeType": "", "buffer": path.read_bytes()}


def of_bytes(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": content}


def line(page: Page, name: str) -> Locator:
    return page.locator(".gs-files li").filter(has_text=name)


def search(page: Page, text: str) -> None:
    page.get_by_role("link", name="Search").click()
    page.get_by_role("searchbox", name="What are you looking for?").fill(text)
    page.keyboard.press("Enter")


def test_files_of_every_fate_are_chosen_followed_found_and_deleted(
    app: Served, watched: Watched
) -> None:
    page = watched.page
    open_library(page, app)
    pdf = DOCUMENTS / "kitchen" / "storing-food-safely.pdf"
    choose(
        page,
        payload(pdf),
        of_bytes("broken.pdf", pdf.read_bytes()[:500]),
        of_bytes("empty.txt", b""),
        of_bytes("noise.bin", bytes(range(256)) * 9),
        of_bytes(IMAGE_NAME, SCRIPT.encode()),
    )
    expect(line(page, "storing-food-safely.pdf")).to_contain_text("passages")
    expect(line(page, "broken.pdf")).to_contain_text("failed")
    expect(line(page, "broken.pdf")).to_contain_text("fetch it again")
    expect(line(page, "empty.txt")).to_contain_text("no text")
    expect(line(page, "noise.bin")).to_contain_text("skipped")
    expect(line(page, IMAGE_NAME)).to_contain_text("ready")
    expect(page.get_by_text("3 files could not be searched")).to_be_visible()
    expect(page.get_by_text("2 documents ·", exact=False)).to_be_visible()

    search(page, "marmot and eagle")
    first = page.locator(".gs-hit").first
    expect(first).to_contain_text(SCRIPT)
    expect(first).to_contain_text(IMAGE_NAME)
    page.get_by_role("button", name="Read").first.click()
    expect(page.locator("#gs-found")).to_contain_text("<script>alert(2)</script>")
    assert page.locator("img[src=x]").count() == 0
    assert watched.dialogs == []

    page.get_by_role("link", name="Library").click()
    table = page.locator(".stDataFrame .dvn-scroller")
    table.wait_for()
    page.wait_for_timeout(500)  # the grid is painted once its size is known
    table.click(position={"x": 16, "y": 52})  # the mark of the first row
    page.get_by_role("button", name="Delete 1 document").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("will no longer be found")
    dialog.get_by_role("button", name="Keep them").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Delete 1 document").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("1 document ·", exact=False)).to_be_visible()


def test_files_are_dropped_and_the_same_ones_once_more(app: Served, page: Page) -> None:
    open_library(page, app)
    tap = DOCUMENTS / "home" / "dripping-tap.md"
    files = [[tap.name, base64.b64encode(tap.read_bytes()).decode()]]
    zone = '[data-testid="stFileUploaderDropzone"]'
    page.locator(zone).wait_for()
    page.evaluate(DROP, [zone, files])
    expect(line(page, tap.name)).to_contain_text("ready")
    expect(page.get_by_text("1 document ·", exact=False)).to_be_visible()
    page.locator(zone).wait_for()
    page.evaluate(DROP, [zone, files])
    expect(page.get_by_text("known already")).to_be_visible()
    expect(page.get_by_text("1 document ·", exact=False)).to_be_visible()


def add_folder(page: Page, folder: Path) -> None:
    page.get_by_role("tab", name="Folder").click()
    page.get_by_role("textbox", name="Path of a folder").fill(str(folder))
    page.keyboard.press("Enter")


def write_texts(folder: Path, count: int) -> Path:
    """Fill a folder with texts, each of which takes the model a moment; return it."""
    folder.mkdir()
    words = (DOCUMENTS / "home" / "dripping-tap.md").read_text().split()
    for number in range(count):
        turned = words[number * 5 :] + words[: number * 5]
        (folder / f"text-{number:02d}.txt").write_text(f"Text {number}. " + " ".join(turned * 4))
    return folder


def test_what_is_ready_is_found_while_the_rest_is_indexed(
    app: Served, page: Page, tmp_path: Path
) -> None:
    open_library(page, app)
    choose(page, payload(DOCUMENTS / "home" / "dripping-tap.md"))
    expect(line(page, "dripping-tap.md")).to_contain_text("ready")
    add_folder(page, write_texts(tmp_path / "texts", 60))
    expect(page.get_by_text("of 60 files")).to_be_visible()
    search(page, "limescale in the cartridge")
    expect(page.locator(".gs-hit").first).to_be_visible()
    page.get_by_role("link", name="Library").click()
    page.get_by_role("button", name="Stop indexing").click()  # so it was still at work all the time
    expect(page.get_by_text("Stopped:")).to_be_visible()
    page.get_by_role("button", name="Drop it").click()
    expect(page.get_by_text("Stopped:")).to_have_count(0)


def test_a_killed_app_goes_on_where_it_was(tmp_path: Path, page: Page) -> None:
    texts = write_texts(tmp_path / "texts", 16)
    home, log = tmp_path / "home", tmp_path / "log"
    with served(home, log=log) as first:
        open_library(page, first)
        add_folder(page, texts)
        expect(page.get_by_text("of 16 files")).to_be_visible()
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(30)
    page.goto("about:blank")
    with served(home, log=log) as again:
        page.goto(again.url + "/library")
        expect(page.get_by_text("16 documents ·", exact=False)).to_be_visible(timeout=120_000)
        expect(page.get_by_role("progressbar")).to_have_count(0)
        assert again.end() == 0
    with Library(home).open("default") as collection:
        assert collection.ledger.totals().states == {"ready": 16}


def test_collections_are_made_chosen_and_deleted(app: Served, page: Page) -> None:
    open_library(page, app)
    page.get_by_role("button", name="New collection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill("not/possible")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_contain_text("cannot be a collection's name")
    for name in ("work", "home"):
        if name == "home":
            page.get_by_role("button", name="New collection").click()
        dialog.get_by_role("textbox", name="Name").fill(name)
        dialog.get_by_role("button", name="Create").click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_text(f"Add files to “{name}”", exact=False)).to_be_visible()
    page.get_by_role("button", name="Delete collection").click()
    expect(dialog).to_contain_text("home with 0 documents")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Add files to “work”", exact=False)).to_be_visible()
