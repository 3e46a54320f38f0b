from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.app.browser.watching import TIMEOUT_MS, Watched, watch
from tests.app.server_process import Served, served, wait_for_model

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}; make test installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def app(indexed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over three documents in the collection ``default``; one for all tests of a module."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(indexed_home, folder / "home")
    with served(folder / "home", log=folder / "log") as running:
        wait_for_model(running)
        yield running
        assert running.end() == 0
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1440, "height": 900})
    made.set_default_timeout(TIMEOUT_MS)
    yield made
    made.close()


@pytest.fixture
def watched(context: BrowserContext) -> Iterator[Watched]:
    """A page that must neither complain nor talk to anybody but the app."""
    found = watch(context.new_page())
    yield found
    found.check()


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page
