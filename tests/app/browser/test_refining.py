"""The refinement page in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page

from tests.app.browser.test_searching import CONTRAST, NAMELESS
from tests.app.browser.watching import (
    click,
    enter,
    expect,
    wait_for_address,
    wait_until_drawn,
    watch,
)
from tests.app.server_process import Served

QUESTION = "how cold does the refrigerator have to be"
ADDRESS = f"/refine?q={QUESTION.replace(' ', '+')}&watch=6"
PICTURES = (
    "Words that the soft tokens are near",
    "Similarity of query and passage by step",
    "Ranks of the",
    "Convergence of the vector",
    "Time of each step",
)


def picture(page: Page, name: str):
    """Return the chart whose description for those who do not see it begins so."""
    return page.locator(f'[role="graphics-document"][aria-label^="{name}"]').first


def test_a_question_is_watched_step_by_step(app: Served, page: Page) -> None:
    page.goto(app.url + "/refine")
    enter(page.get_by_role("searchbox", name="Text to refine"), QUESTION)
    expect(page.get_by_text(re.compile(r"^20 steps in "))).to_be_visible()
    wait_until_drawn(page)
    for name in PICTURES:
        shown = picture(page, name)
        expect(shown).to_be_visible()
        shown.scroll_into_view_if_needed()
        box = shown.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 100
    wait_for_address(page, "q=how")


def test_steps_are_chosen_by_keys_and_the_passage_by_its_name(app: Served, page: Page) -> None:
    page.goto(app.url + ADDRESS)
    expect(page.get_by_text(re.compile(r"^6 steps in "))).to_be_visible()
    page.get_by_role("slider", name="Steps to watch").press("ArrowLeft")
    expect(page.get_by_text(re.compile(r"^5 steps in "))).to_be_visible()
    click(page.get_by_role("combobox", name=re.compile("Compare with")))
    click(page.get_by_role("option", name="A text of my own"))
    passage = page.get_by_role("textbox", name="Passage")
    passage.fill("Keep it below four degrees.")
    passage.press("Control+Enter")
    expect(picture(page, "Similarity of query and passage by step")).to_be_visible()


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
    page.goto(app.url + ADDRESS)
    expect(picture(page, PICTURES[-1])).to_be_attached()
    wait_until_drawn(page)
    for name in PICTURES:
        box = picture(page, name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.evaluate(NAMELESS) == []
    assert page.locator(".stMain").evaluate(CONTRAST) >= 4.5
    watched.check()
    context.close()
