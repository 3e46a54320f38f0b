"""Rebuilding a collection, giving that up, and returning to the version before, in a browser."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.app.browser.library_page import LONG_MS, manage, open_library, search
from tests.app.browser.watching import click, expect
from tests.app.server_process import Served


def test_a_collection_is_rebuilt_at_another_step_count_and_returned(
    app: Served, page: Page
) -> None:
    open_library(page, app)
    expect(page.get_by_text("refined by 5 steps")).to_be_visible()
    click(page.get_by_role("button", name="Manage"))
    expect(page.get_by_role("menuitem", name="Return to the version before")).to_have_count(0)
    page.keyboard.press("Escape")

    dialog = manage(page, "Rebuild with other settings")
    expect(dialog).to_contain_text("only the search index is made anew")
    slider = dialog.get_by_role("slider")
    for _ in range(3):
        slider.press("ArrowLeft")
    expect(dialog).to_contain_text("3 documents are embedded anew")
    click(dialog.get_by_role("button", name="Rebuild"))
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Rebuilt with gircse-minilm, 2 steps")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("refined by 2 steps")).to_be_visible()
    search(page, app, "default", "limescale in the cartridge")
    expect(page.locator(".gs-hit").first).to_be_visible(timeout=LONG_MS)

    open_library(page, app)
    dialog = manage(page, "Return to the version before")
    expect(dialog).to_contain_text("gircse-minilm, 5 steps")
    click(dialog.get_by_role("button", name="Stay here"))
    expect(dialog).to_have_count(0)
    dialog = manage(page, "Return to the version before")
    click(dialog.get_by_role("button", name="Return to it"))
    expect(page.get_by_text("Back at the version before")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("refined by 5 steps")).to_be_visible()
    click(page.get_by_role("button", name="Got it"))
    expect(page.get_by_text("Back at the version before")).to_have_count(0)
    search(page, app, "default", "limescale in the cartridge")
    expect(page.locator(".gs-hit").first).to_be_visible(timeout=LONG_MS)
