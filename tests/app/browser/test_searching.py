"""Searching in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from indexer.embedder import load_embedder
from indexer.index_report import IndexOptions
from indexer.library import Library
from indexer.pipeline import index_paths
from tests.app.browser.watching import watch
from tests.app.conftest import DOCUMENTS
from tests.app.serving import Served, served


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="What are you looking for?").fill(text)
    page.keyboard.press("Enter")


def test_typing_at_once_and_enter_bring_passages_with_page_and_highlight(
    app: Served, page: Page
) -> None:
    page.goto(app.url)
    box = page.get_by_role("searchbox", name="What are you looking for?")
    expect(box).to_be_focused()
    page.keyboard.type("thaw meat in the refrigerator")
    page.keyboard.press("Enter")
    first = page.locator(".gs-hit").first
    expect(first).to_contain_text("storing-food-safely.pdf")
    expect(first).to_contain_text("page ")
    mark = first.locator("mark").first
    weight, background = mark.evaluate(
        "mark => [getComputedStyle(mark).fontWeight, getComputedStyle(mark).backgroundColor]"
    )
    assert int(weight) >= 700
    assert background not in {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}
    expect(page.get_by_text("in all: reading")).to_be_visible()
    assert "q=thaw" in page.url
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".gs-hit").nth(10)).to_be_attached()


def test_a_passage_is_shown_at_its_place_in_the_document(app: Served, page: Page) -> None:
    page.goto(app.url)
    search(page, "how cold does the refrigerator have to be")
    found = page.locator("#gs-found")
    expect(found).to_be_in_viewport()  # the first hit is open at once
    page.get_by_role("button", name="Read").nth(1).click()
    second = page.locator(".gs-hit").nth(1)
    expect(second).to_have_attribute("aria-current", "true")
    start = second.locator(".gs-passage").inner_text().lstrip("\u2026 ")[:40]
    expect(found).to_contain_text(start)
    expect(found).to_be_in_viewport()
    expect(page.locator(".gs-hit").first).to_be_in_viewport()  # the results are still there


def test_modes_and_filters_hold_and_can_be_linked_to(app: Served, page: Page) -> None:
    page.goto(app.url)
    search(page, "cartridge")
    page.get_by_role("radio", name="Words").click()
    expect(page.get_by_text("in all: words")).to_be_visible()
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("File or folder name contains").fill("breaker")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    address = page.url
    assert "path=breaker" in address
    page.goto(address)
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.get_by_role("button", name="Remove the filters").click()
    expect(page.locator(".gs-hit").first).to_contain_text("dripping-tap.md")


@pytest.fixture(scope="module")
def refining_app(refining_model: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("refining")
    with Library(folder / "home").create("default", model=str(refining_model)) as collection:
        embedder = load_embedder(str(refining_model))
        paths = [DOCUMENTS / "home" / "dripping-tap.md"]
        index_paths(collection, paths, embedder=lambda: embedder, options=IndexOptions())
    variables = {"GIRCSE_MODEL": str(refining_model)}
    with served(folder / "home", log=folder / "log", variables=variables) as running:
        yield running


def test_the_slider_is_moved_by_keys_and_says_what_it_costs(
    refining_app: Served, page: Page
) -> None:
    page.goto(refining_app.url + "/?q=limescale&steps=4")
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-label", slider_name(4))
    expect(page.get_by_text("4 steps", exact=False).last).to_be_visible()
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-label", slider_name(5))
    expect(page.get_by_text("in all: reading")).to_contain_text("5 steps")
    assert "steps=5" in page.url
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-label", slider_name(20))
    expect(page.get_by_text("in all: reading")).to_contain_text("20 steps")
    assert "steps=20" in page.url


def slider_name(steps: int) -> re.Pattern[str]:
    return re.compile(rf"Refinement: {steps} steps · about [\d.]+ m?s")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_cut_off_or_without_a_name(
    app: Served, chromium: Browser, width: int, scheme
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    watched = watch(context.new_page())
    page = watched.page
    for address, ready in (("/?q=dripping+tap", ".gs-hit"), ("/library", ".stDataFrame")):
        page.goto(app.url + address)
        page.locator(ready).first.wait_for()
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0
        assert page.evaluate(NAMELESS) == []
        assert page.locator(".stMain").evaluate(CONTRAST) >= 4.5
    watched.check()
    context.close()


NAMELESS = """() => [...document.querySelectorAll('button, input, textarea, a[href]')]
    .filter(element => element.checkVisibility() && element.tabIndex >= 0)
    .filter(element => !(element.innerText || '').trim() && !element.ariaLabel
        && !(element.labels && element.labels.length) && !element.getAttribute('aria-labelledby')
        && !element.title)
    .map(element => element.outerHTML.slice(0, 200))"""

# Of the page's text against its background, as WCAG computes it.
CONTRAST = """element => {
    const light = color => {
        const parts = color.match(/[\\d.]+/g).slice(0, 3).map(part => {
            const share = part / 255
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    }
    const app = getComputedStyle(element.closest('.stApp'))
    const [a, b] = [light(app.color), light(app.backgroundColor)]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}"""
