"""Reading passages in their documents in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from playwright.sync_api import Browser, Locator, Page

from indexer.collections.library import Library
from indexer.embedder import Embedder
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.app.browser.test_searching import CONTRAST, NAMELESS
from tests.app.browser.watching import TIMEOUT_MS, Watched, click, expect, wait_until_drawn, watch
from tests.app.conftest import DOCUMENTS
from tests.app.server_process import Served, served, wait_for_model
from tests.indexer.preview.pdf_making import endless_page

PDF = DOCUMENTS / "kitchen" / "storing-food-safely.pdf"
NASTY_NAME = '"><img src=x onerror=alert(8)>.md'
HOSTILE = """\
# Quokkas

<script>alert(1)</script> A quokka smiles <img src="http://evil.example/a.png" onerror="alert(2)">
at the camera. [here](javascript:alert(3)) ![pixel](http://evil.example/pixel.png)

<iframe src="http://evil.example/frame"></iframe> <svg onload="alert(4)"></svg>
<div style="position:fixed;inset:0;background:red url(http://evil.example/b.png)">over it all</div>
"""
HOSTILE_PAGE = """\
<html><head><title>Numbats</title><script>alert(5)</script><meta http-equiv="refresh"
content="0;url=http://evil.example/"><link rel=stylesheet href="http://evil.example/c.css"></head>
<body onload="alert(6)"><p>The numbat eats termites all day.<img src=x onerror=alert(7)></p>
<form action="http://evil.example/"><input autofocus onfocus="alert(9)"></form></body></html>
"""
CSV = "animal;legs;note\n" + "".join(
    f"animal {n};4;{'a walrus with ivory tusks' if n == 180 else 'ordinary'} {n}\n"
    for n in range(400)
)
CODE = "\n\n".join(
    f'def step_{n}(value):\n    """Return {"a wombat burrow" if n == 70 else "the value"}."""\n'
    f"    return value + {n}"
    for n in range(120)
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, minilm: Embedder) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("reading")
    documents = folder / "documents"
    documents.mkdir()
    shutil.copy(PDF, documents)
    for name, text in (
        (NASTY_NAME, HOSTILE),
        ("numbats.html", HOSTILE_PAGE),
        ("animals.csv", CSV),
        ("steps.py", CODE),
    ):
        (documents / name).write_text(text)
    (documents / "endless.pdf").write_bytes(endless_page("An axolotl regrows its legs and tail."))
    with Library(folder / "home").create("default", model="gircse-minilm") as collection:
        index_paths(collection, [documents], embedder=lambda: minilm, options=IndexOptions())
    with served(folder / "home", log=folder / "log") as running:
        wait_for_model(running)
        yield running
        assert running.end() == 0
    assert "Traceback" not in (folder / "log").read_text()


def open_passage(page: Page, app: Served, words: str) -> Locator:
    """Open the passage with some words; return where it begins."""
    show_hit(page, app, words)
    found = page.locator("#gs-found")
    expect(found).to_be_in_viewport()
    return found


def show_hit(page: Page, app: Served, words: str) -> None:
    page.goto(f"{app.url}/?mode=Words&q={words.replace(' ', '+')}")
    expect(page.get_by_text("in all:")).to_be_visible()
    page.locator(".gs-hit").first.wait_for()
    wait_until_drawn(page)
    click(page.get_by_role("button", name="Read", exact=True).first)
    reader(page).wait_for()
    wait_until_drawn(page)


def reader(page: Page) -> Locator:
    """Return where a chosen hit is read: beside the results, or over them on a narrow screen."""
    return page.locator(".st-key-gs-reader-chosen")


def text_under(page: Page, number: int) -> str:
    """Return what a PDF has under the boxes that are drawn on its picture."""
    document = pypdfium2.PdfDocument(PDF)
    paper = document[number - 1]
    width, height = paper.get_size()
    text = paper.get_textpage()
    words = []
    for box in page.locator(".gs-box:not(.gs-box-mark)").all():
        style = box.get_attribute("style") or ""
        left, top, across, down = (float(share) / 100 for share in re.findall(r"([\d.]+)%", style))
        words.append(
            text.get_text_bounded(
                left=left * width,
                right=(left + across) * width,
                top=(1 - top) * height,
                bottom=(1 - top - down) * height,
            )
        )
    return " ".join(words)


def letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def test_a_passage_of_a_pdf_is_marked_on_the_right_page(app: Served, page: Page) -> None:
    open_passage(page, app, "thaw meat in the refrigerator overnight")
    passage = page.locator(".gs-hit").first.locator(".gs-passage").inner_text()
    facts = page.locator(".gs-hit").first.locator(".gs-facts").inner_text()
    number = int(re.findall(r"page (\d+)", facts)[0])
    assert number > 1  # or any page would do
    expect(page.get_by_text(f"Page {number} of 5", exact=True)).to_be_visible()
    picture = page.get_by_role("img", name=f"Page {number} of 5")
    expect(picture).to_be_visible()
    picture.evaluate("image => image.decode()")
    assert picture.evaluate("image => image.naturalWidth") > 1000
    under = letters(text_under(page, number))
    assert letters(passage)[:60] in under
    assert letters(passage)[-60:] in under
    assert len(under) < 1.5 * len(letters(passage))
    assert page.locator(".gs-box-mark").count() >= 1


def test_pages_are_turned_and_the_way_back_is_short(app: Served, page: Page) -> None:
    open_passage(page, app, "thaw meat in the refrigerator overnight")
    place = page.get_by_text(re.compile(r"^Page \d of 5$"))
    before = place.inner_text()
    click(page.get_by_role("button", name="Previous page"))
    expect(place).not_to_have_text(before)
    expect(page.locator(".gs-box")).to_have_count(0)
    expect(page.locator(".gs-hit").first).to_be_attached()
    click(page.get_by_role("button", name="Back to the passage"))
    expect(place).to_have_text(before)
    expect(page.locator("#gs-found")).to_be_in_viewport()
    click(page.get_by_role("radio", name="Text"))
    expect(page.locator(".gs-document #gs-found")).to_be_in_viewport()
    expect(page.get_by_role("img", name="Page")).to_have_count(0)


def test_hostile_documents_are_shown_and_do_nothing(app: Served, watched: Watched) -> None:
    page = watched.page
    found = open_passage(page, app, "quokka smiles at the camera")
    shown = page.locator(".gs-markup")
    expect(shown).to_contain_text("A quokka smiles")
    expect(found).to_be_visible()
    expect(shown.locator("mark").first).to_be_visible()
    for forbidden in ("img", "iframe", "svg", "script", "[style]", "a[href^=javascript]"):
        assert shown.locator(forbidden).count() == 0
    expect(reader(page)).to_contain_text(NASTY_NAME)
    click(page.get_by_role("radio", name="Text"))
    expect(page.locator(".gs-document")).to_contain_text("A quokka smiles")
    open_passage(page, app, "numbat eats termites")
    shown = page.locator(".gs-markup")
    expect(shown).to_contain_text("The numbat eats termites all day.")
    assert shown.locator("img, form, input, script, link, meta").count() == 0
    page.wait_for_timeout(500)  # whatever it would do, it would do now
    assert page.url.startswith(app.url)
    assert watched.dialogs == []
    assert watched.foreign == []


def test_a_page_that_never_ends_is_given_up_for_its_text(app: Served, page: Page) -> None:
    show_hit(page, app, "axolotl regrows")
    expect(page.get_by_text("Only the text can be shown")).to_be_visible(timeout=120_000)
    expect(page.locator(".gs-document #gs-found")).to_contain_text("An axolotl regrows its legs")
    expect(page.get_by_role("link", name="Download")).to_be_visible()


def test_the_original_is_downloaded_under_its_own_name(app: Served, page: Page) -> None:
    open_passage(page, app, "quokka smiles at the camera")
    with page.context.expect_event("download") as started:
        click(page.get_by_role("link", name="Download"))
    download = started.value
    assert Path(download.path()).read_text() == HOSTILE
    # the browser itself replaces what file systems do not take
    assert re.sub(r"[<>:_'\"]", "", download.suggested_filename) == re.sub(
        r"[<>:_'\"]", "", NASTY_NAME
    )


def test_tables_and_code_are_scrolled_to_the_passage(app: Served, page: Page) -> None:
    found = open_passage(page, app, "walrus with ivory tusks")
    expect(page.get_by_role("columnheader", name="animal")).to_be_attached()
    rows = page.locator(".gs-in-line")
    expect(rows.filter(has_text="walrus with ivory tusks")).to_be_attached()
    expect(found).to_be_in_viewport()
    open_passage(page, app, "return a wombat burrow")
    pane = reader(page)
    expect(pane.get_by_text("Python", exact=True)).to_be_visible()
    line = page.locator(".gs-in-line").filter(has_text="wombat burrow")
    number = CODE.split("\n").index('    """Return a wombat burrow."""') + 1
    expect(line.locator(".gs-number")).to_have_text(str(number))
    before = page.locator(".gs-listing tr").count()
    click(pane.get_by_role("button", name="Further text"))
    expect(page.locator(".gs-listing tr").nth(before)).to_be_attached()


def test_the_browser_refuses_what_the_policy_forbids(app: Served, chromium: Browser) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(app.url)
    page.get_by_role("heading", name="Search your documents").wait_for()
    broken = page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener('securitypolicyviolation', e => resolve(e.violatedDirective))
            new Image().src = 'http://evil.example/pixel.png'
        })"""
    )
    assert broken == "img-src"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_of_a_document_is_cut_off_or_without_a_name(
    app: Served, chromium: Browser, width: int, scheme
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(TIMEOUT_MS)
    watched = watch(context.new_page())
    page = watched.page
    for words in ("thaw meat in the refrigerator", "walrus with ivory tusks", "wombat burrow"):
        open_passage(page, app, words)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert reader(page).evaluate("box => box.scrollWidth - box.clientWidth") <= 0
        assert page.evaluate(NAMELESS) == []
        assert page.locator(".stMain").evaluate(CONTRAST) >= 4.5
    watched.check()
    context.close()
