"""What a user does on the library page, for the browser tests."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import FilePayload, Locator, Page

from indexer.collections.library import Library
from tests.app.browser.watching import click, enter, expect
from tests.app.conftest import DOCUMENTS
from tests.app.server_process import Served

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
ZONE = '[data-testid="stFileUploaderDropzone"]'
LONG_MS = 1_200_000
"""For what the model has to do, on busy cores."""


def open_library(page: Page, app: Served, collection: str | None = None, *, steps: int = 0) -> None:
    """Open the page at a collection, which is made if there is none of that name.

    Without refinement steps the model has the least to do.
    """
    if collection is None:
        page.goto(app.url + "/library")
    else:
        library = Library(app.home)
        if collection not in library.names():
            library.create(collection, model="gircse-minilm", steps=steps).close()
        page.goto(f"{app.url}/library?collection={collection}")
    expect(page.get_by_role("heading", name="Library")).to_be_visible()


def choose(page: Page, *files: FilePayload | Path) -> None:
    page.locator('input[type="file"]').first.set_input_files(list(files))  # type: ignore[arg-type]


def drop(page: Page, path: Path) -> None:
    """Drop a file or folder of the disk where uploads are taken, as the desktop hands it over."""
    box = page.locator(f"{ZONE}:visible").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})
    session.detach()


def payload(path: Path) -> FilePayload:
    return {"name": path.name, "mimeType": "", "buffer": path.read_bytes()}


def of_bytes(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": content}


def line(page: Page, name: str) -> Locator:
    return page.locator(".gs-files li").filter(has_text=name)


def manage(page: Page, action: str) -> Locator:
    """Choose something from the menu of the collection; return the dialog, if it opens one."""
    click(page.get_by_role("button", name="Manage"))
    click(page.get_by_role("menuitem", name=action))
    return page.get_by_role("dialog")


def search(page: Page, app: Served, collection: str, text: str) -> None:
    page.goto(f"{app.url}/?collection={collection}")
    enter(page.get_by_role("searchbox", name="What are you looking for?"), text)


def add_folder(page: Page, folder: Path) -> None:
    click(page.get_by_role("tab", name="Path on this machine"))
    enter(page.get_by_role("textbox", name="Path of a folder"), str(folder))


def write_texts(folder: Path, count: int) -> Path:
    """Fill a folder with texts, each of which takes the model a moment; return it."""
    folder.mkdir()
    words = (DOCUMENTS / "home" / "dripping-tap.md").read_text().split()
    for number in range(count):
        turned = words[number * 5 :] + words[: number * 5]
        (folder / f"text-{number:02d}.txt").write_text(f"Text {number}. " + " ".join(turned * 4))
    return folder
