"""Searching in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from indexer.collections.library import Library
from indexer.embedder import load_embedder
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.app.browser.watching import (
    click,
    enter,
    expect,
    wait_for_address,
    wait_until_drawn,
    watch,
)
from tests.app.conftest import DOCUMENTS
from tests.app.server_process import Served, served


def search(page: Page, text: str) -> None:
    enter(page.get_by_role("searchbox", name="What are you looking for?"), text)


def wait_until_refined(page: Page, steps: int) -> None:
    """Wait until the model is ready and a search has taken so many steps, and is done."""
    expect(page.locator(".gs-status")).to_contain_text(re.compile(rf"\u00b7 {steps} steps?"))
    wait_until_drawn(page)


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
    wait_until_refined(page, 5)
    mark = first.locator("mark").first
    weight, background = mark.evaluate(
        "mark => [getComputedStyle(mark).fontWeight, getComputedStyle(mark).backgroundColor]"
    )
    assert int(weight) >= 700
    assert background not in {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}
    expect(page.get_by_text("in all: reading")).to_be_visible()
    wait_for_address(page, "q=thaw")
    click(page.get_by_role("button", name="Show more"))
    expect(page.locator(".gs-hit").nth(10)).to_be_attached()


def test_a_passage_is_shown_at_its_place_in_the_document(app: Served, page: Page) -> None:
    page.goto(app.url)
    search(page, "how cold does the refrigerator have to be")
    found = page.locator("#gs-found")
    expect(found).to_be_in_viewport()  # the first hit is open at once
    wait_until_refined(page, 5)
    click(page.get_by_role("button", name="Read").nth(1))
    second = page.locator(".gs-hit").nth(1)
    expect(second).to_have_attribute("aria-current", "true")
    (number,) = re.findall(r"page \d+", second.locator(".gs-facts").inner_text())
    reader = page.locator('[class*="st-key-gs-reader-chosen"]')
    expect(reader.locator(".gs-facts")).to_contain_text(number)
    expect(found).to_be_in_viewport()
    click(reader.get_by_role("radio", name="Text"))
    start = second.locator(".gs-passage").inner_text().lstrip("\u2026 ")[:20]
    expect(found).to_contain_text(start)
    expect(page.locator(".gs-hit").first).to_be_in_viewport()  # the results are still there


def test_modes_and_filters_hold_and_can_be_linked_to(app: Served, page: Page) -> None:
    page.goto(app.url)
    search(page, "cartridge")
    click(page.get_by_role("radio", name="Words"))
    expect(page.get_by_text("in all: words")).to_be_visible()
    click(page.get_by_role("button", name="Filters"))
    enter(page.get_by_label("File or folder name contains"), "breaker")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    wait_for_address(page, "path=breaker")
    address = page.url
    page.goto(address)
    expect(page.get_by_text("Nothing found")).to_be_visible()
    click(page.get_by_role("button", name="Remove the filters"))
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
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-label", slider_name(5))
    expect(page.get_by_text("in all: reading")).to_contain_text("5 steps")
    wait_for_address(page, "steps=5")
    for _ in range(20):
        slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-label", slider_name(20))
    expect(page.get_by_text("in all: reading")).to_contain_text("20 steps")
    wait_for_address(page, "steps=20")


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
        wait_until_drawn(page)
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


def steps_shown(page: Page) -> int:
    """Return how many steps the last search took, by its latency line."""
    found = re.search(r"(\d+) steps? of", page.locator(".gs-latency p").inner_text())
    return int(found[1]) if found else 0


def milliseconds_promised(page: Page) -> float:
    label = page.get_by_role("slider").get_attribute("aria-label") or ""
    found = re.search(r"about ([\d.]+) (m?s)", label)
    assert found, label
    return float(found[1]) * (1.0 if found[2] == "ms" else 1000.0)


def test_the_slider_is_dragged_and_the_search_takes_longer(app: Served, page: Page) -> None:
    page.goto(app.url + "/?q=thaw+meat&steps=0")
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-label", slider_name(0))
    expect(page.locator(".gs-latency p")).to_contain_text("reading")
    wait_until_drawn(page)
    assert steps_shown(page) == 0
    before = milliseconds_promised(page)
    thumb, track = slider.bounding_box(), page.locator(".stSlider").bounding_box()
    assert thumb is not None
    assert track is not None
    page.mouse.move(thumb["x"] + thumb["width"] / 2, thumb["y"] + thumb["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] + 50, thumb["y"] + thumb["height"] / 2, steps=8)
    page.mouse.up()
    expect(slider).to_have_attribute("aria-label", slider_name(20))
    expect(page.locator(".gs-latency p")).to_contain_text("20 steps of")
    wait_until_drawn(page)
    assert milliseconds_promised(page) > before
    wait_for_address(page, "steps=20")


def test_time_and_automatic_mode_are_chosen_shown_and_shared(app: Served, page: Page) -> None:
    page.goto(app.url + "/?q=thaw+meat+in+the+refrigerator")
    wait_until_refined(page, 5)
    click(page.get_by_role("radio", name="Auto"))
    status = page.locator(".gs-status")
    expect(status).to_contain_text(re.compile("stopped as the (first hits keep|query hardly)"))
    expect(page.get_by_text("Stops when the top 5 keep their places")).to_be_visible()
    wait_for_address(page, "refine=Auto")
    click(page.get_by_role("radio", name="Time"))
    limit = page.get_by_role("spinbutton", name=re.compile("Answer within"))
    enter(limit, "10000")
    expect(status).to_contain_text("20 steps")
    enter(limit, "5")
    expect(status).to_contain_text("stopped by the time limit")
    wait_for_address(page, "refine=Time")
    wait_for_address(page, "budget=5")
    page.goto(page.url)
    expect(status).to_contain_text("stopped by the time limit")
    expect(limit).to_have_value("5")


# Notes every state of the list of hits that the page goes through.
WATCH = """() => {
    window.seen = []
    new MutationObserver(() => {
        const status = document.querySelector('.gs-status')?.innerText || ''
        const hits = [...document.querySelectorAll('.gs-hit')]
        const text = hits.map(hit => hit.querySelector('.gs-passage').innerText.slice(0, 60))
        const key = JSON.stringify([status, text])
        if (text.length && window.seen.at(-1) !== key) window.seen.push(key)
    }).observe(document.body, {subtree: true, childList: true, characterData: true})
}"""


def test_ranks_change_while_a_search_refines_itself(app: Served, page: Page) -> None:
    page.goto(app.url + "/?steps=20")
    page.get_by_role("slider").wait_for()
    status = page.locator(".gs-status")
    # On a busy machine a browser may be handed all steps of one search at once.
    for question in ("water in the kitchen", "water in the house", "keep the kitchen dry", "water"):
        page.evaluate(WATCH)
        search(page, question)
        expect(status).to_contain_text("20 steps")
        seen = [json.loads(one) for one in page.evaluate("window.seen")]
        last = seen[-1][1]
        if any("refining, step" in said and hits != last for said, hits in seen):
            break
    else:
        pytest.fail("four searches showed no other hits at a step before the last one")
    moved = page.locator(".gs-move").first
    expect(moved).to_contain_text(re.compile(r"(up|down) \d+ since step 0|new since step 0"))
    assert re.match(r"Top 5 (unchanged since|still moving at) step", status.inner_text())


def test_a_search_is_interrupted_by_the_next_one(app: Served, page: Page) -> None:
    page.goto(app.url + "/?steps=20")
    page.get_by_role("slider").wait_for()
    for question in ("water", "limescale in the cartridge", "thaw meat in the refrigerator"):
        search(page, question)
    expect(page.locator(".gs-hit").first).to_contain_text("storing-food-safely.pdf")
    expect(page.locator(".gs-status")).to_contain_text("20 steps")


def test_feedback_changes_the_ranking_and_can_be_shared(app: Served, page: Page) -> None:
    page.goto(app.url + "/?q=water+in+the+kitchen")
    wait_until_refined(page, 5)
    passages = page.locator(".gs-passage")
    liked = passages.nth(6).inner_text()
    first = passages.first.inner_text()
    click(page.get_by_role("button", name="More of this").nth(6))
    expect(page.get_by_role("button", name=re.compile("^.*More of .* \u00d7$"))).to_be_visible()
    expect(passages.nth(6)).not_to_have_text(liked)
    wait_until_refined(page, 5)
    assert passages.all_inner_texts().index(liked) < 6
    wait_for_address(page, "like=")
    address = page.url
    page.goto(address)
    wait_until_refined(page, 5)
    assert passages.all_inner_texts().index(liked) < 6
    click(page.get_by_role("button", name=re.compile("^.*More of .* \u00d7$")))
    expect(passages.first).to_have_text(first)
    click(page.get_by_role("button", name="Similar").first)
    expect(page.get_by_role("button", name=re.compile("Similar to"))).to_be_visible()
    expect(passages.first).not_to_have_text(first)
    wait_for_address(page, "similar=")


def test_hits_are_exported(app: Served, page: Page) -> None:
    page.goto(app.url + "/?q=limescale")
    wait_until_refined(page, 5)
    click(page.get_by_role("button", name="Export"))
    with page.expect_download() as download:
        click(page.get_by_role("button", name="10 hits as CSV"))
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [row["rank"] for row in table] == [str(rank) for rank in range(1, 11)]
    with page.expect_download() as download:
        click(page.get_by_role("button", name="10 hits as JSON"))
    hits = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert hits[0]["chunk_id"] == table[0]["chunk_id"]


def test_on_a_narrow_screen_the_reader_comes_up_over_the_results_and_goes(
    app: Served, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(app.url + "/?q=limescale")
    wait_until_refined(page, 5)
    expect(page.locator("#gs-found")).not_to_be_visible()
    click(page.get_by_role("button", name="Read").nth(1))
    expect(page.locator("#gs-found")).to_be_in_viewport()
    back = page.get_by_role("button", name="Back to the results")
    expect(back).to_be_focused()
    click(back)
    expect(page.locator("#gs-found")).not_to_be_visible()
    expect(page.locator(".gs-hit").nth(1)).to_be_in_viewport()
    click(page.get_by_role("button", name="Read").nth(2))
    expect(back).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#gs-found")).not_to_be_visible()
