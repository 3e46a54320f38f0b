"""Judging hits and measuring by them, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from indexer.collections.library import Library
from indexer.embedder import load_embedder
from indexer.evaluation.judgement_book import JudgementBook
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.app.browser.test_refining import picture
from tests.app.browser.test_searching import CONTRAST, NAMELESS
from tests.app.browser.watching import TIMEOUT_MS, click, expect, wait_until_drawn, watch
from tests.app.conftest import DOCUMENTS, FEW
from tests.app.server_process import Served, served
from tests.gircse_core import models

QUESTIONS = ("thaw meat in the refrigerator", "limescale in the cartridge", "which breaker trips")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over three documents and a tiny model, which measures in no time."""
    folder = tmp_path_factory.mktemp("judged")
    base = models.write_encoder(folder / "encoder")
    adapter = models.random_adapter(layers=3, hidden=32, inner=64)
    model = str(models.write_prefix_model(folder / "model", base, adapter))
    embedder = load_embedder(model)
    with Library(folder / "home").create("default", model=model) as collection:
        paths = [DOCUMENTS / name for name in FEW]
        index_paths(collection, paths, embedder=lambda: embedder, options=IndexOptions())
    with served(folder / "home", log=folder / "log", variables={"GIRCSE_MODEL": model}) as running:
        yield running
        assert running.end() == 0
    assert "Traceback" not in (folder / "log").read_text()


def judge(app: Served, page: Page, question: str) -> None:
    """Give the first hit a thumb up by mouse, and the second a thumb down by keys."""
    page.goto(f"{app.url}/?q={question.replace(' ', '+')}")
    up = page.get_by_role("radio", name="Thumbs up")
    down = page.get_by_role("radio", name="Thumbs down")
    click(up.first)
    expect(page.get_by_text("Judged as an answer").first).to_be_visible()
    expect(up.first).to_be_checked()
    up.nth(1).press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Judged as no answer").first).to_be_visible()
    expect(down.nth(1)).to_be_checked()


def test_judging_feeds_the_quality_plot(app: Served, page: Page) -> None:
    page.goto(app.url + "/quality")
    expect(page.get_by_text("has been judged yet")).to_be_visible()
    expect(page.get_by_role("button", name="Measure")).to_be_disabled()
    # Hits change places when the model is ready, and thumbs move with them: wait for it.
    page.goto(app.url + "/refine?q=tap")
    expect(picture(page, "Time of each step")).to_be_attached()
    for question in QUESTIONS:
        judge(app, page, question)
    page.reload()  # what was said is there again
    expect(page.get_by_role("radio", name="Thumbs up").first).to_be_checked()

    page.goto(app.url + "/quality")
    expect(page.get_by_text("3 judged queries · 3 thumbs up · 3 thumbs down")).to_be_visible()
    click(page.get_by_role("button", name="Measure"))
    expect(page.get_by_text(re.compile(r"^Knee: \d+ steps?\.$"))).to_be_visible(timeout=120_000)
    shown = picture(page, "nDCG@10 by meaning and words")
    expect(shown).to_be_visible()
    expect(page.get_by_text("Few judged queries (3)")).to_be_visible()
    click(page.get_by_role("button", name="MRR@10").or_(page.get_by_role("radio", name="MRR@10")))
    expect(picture(page, "MRR@10 by meaning and words")).to_be_visible()


def test_a_measurement_is_cancelled(app: Served, page: Page) -> None:
    for number in range(40):  # enough to be cancelled in the middle
        with Library(app.home).open("default") as collection:
            document = collection.store.documents()[0]
            book = JudgementBook(collection.directory)
            book.judge(f"question {number}", document, None, 1)
    page.goto(app.url + "/quality")
    measure = page.get_by_role("button", name=re.compile(r"^\s*Measure( again)?\s*$"))
    click(measure)
    cancel = page.get_by_role("button", name="Cancel")
    click(cancel)
    expect(cancel).to_have_count(0)
    expect(measure).to_be_visible()
    expect(measure).to_be_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_cut_off_or_without_a_name(
    app: Served, chromium: Browser, width: int, scheme
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(TIMEOUT_MS)
    watched = watch(context.new_page())
    page = watched.page
    page.goto(app.url + "/quality")
    page.get_by_role("button", name=re.compile("Measure")).first.wait_for()
    click(page.get_by_text("Add a judged set"))
    page.get_by_text("A ZIP file").wait_for()
    wait_until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.evaluate(NAMELESS) == []
    assert page.locator(".stMain").evaluate(CONTRAST) >= 4.5
    watched.check()
    context.close()
