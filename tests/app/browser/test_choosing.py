"""Several collections in a real browser: every page is of the one that was chosen."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page

from tests.app.browser.watching import click, expect, wait_until_drawn
from tests.app.server_process import Served


@pytest.fixture(scope="module", autouse=True)
def _second(app: Served) -> None:
    """A further collection, of other steps."""
    values = {"name": "quick", "steps": 0}
    answer = httpx.post(f"{app.url}/api/collections", json=values, trust_env=False)
    assert answer.status_code == 201


def choose(page: Page, name: str) -> None:
    click(page.get_by_role("combobox", name="Collection"))
    click(page.get_by_role("option", name=name))


def test_the_collection_of_an_address_is_that_of_the_other_pages_too(
    app: Served, page: Page
) -> None:
    page.goto(f"{app.url}/?collection=quick")
    chosen = page.get_by_role("combobox", name="Collection")
    expect(chosen).to_have_value("quick")
    wait_until_drawn(page)
    click(page.get_by_role("link", name="Library"))
    expect(page.get_by_text(re.compile("Add files to “quick”"))).to_be_visible()
    expect(chosen).to_have_value("quick")
    choose(page, "default")
    expect(page.get_by_text(re.compile("Add files to “default”"))).to_be_visible()
    wait_until_drawn(page)
    click(page.get_by_role("link", name="Search", exact=True).first)
    expect(page.get_by_role("heading", name="Search your documents")).to_be_attached()
    expect(chosen).to_have_value("default")


def test_the_slider_stands_where_the_collection_begins(app: Served, page: Page) -> None:
    page.goto(f"{app.url}/?collection=quick")
    slider = page.get_by_role("slider", name=re.compile("Refinement"))
    expect(slider).to_have_value("0")
    wait_until_drawn(page)
    choose(page, "default")
    expect(slider).to_have_value("5")
    expect(page.get_by_text("Refinement: 5 steps", exact=False).first).to_be_visible()
