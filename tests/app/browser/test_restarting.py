"""The app ends in the middle of its work, in good order or not, and goes on when it is started."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from playwright.sync_api import Page

from indexer.collections.library import Library
from indexer.reindexing.drafts import find_draft
from tests.app.browser.library_page import (
    LONG_MS,
    add_folder,
    choose,
    manage,
    open_library,
    payload,
    write_texts,
)
from tests.app.browser.watching import click, expect
from tests.app.server_process import served
from tests.app.waiting import wait_until

FOLDER_WAITS_OR_RUNS = re.compile("then 1 folder|of 24 files")


def test_a_killed_app_goes_on_where_it_was_though_the_page_was_closed(
    tmp_path: Path, page: Page
) -> None:
    texts = write_texts(tmp_path / "texts", 24)
    home, log = tmp_path / "home", tmp_path / "log"
    with served(home, log=log) as first:
        open_library(page, first)
        choose(page, *(payload(path) for path in sorted(texts.iterdir())[:8]))
        expect(page.get_by_text("of 8 files")).to_be_visible(timeout=LONG_MS)
        add_folder(page, texts)
        expect(page.get_by_text(FOLDER_WAITS_OR_RUNS)).to_be_visible(timeout=LONG_MS)
        page.goto("about:blank")  # the tab is closed, and the work goes on
        wait_until(lambda: ready(home) > 0, timeout_s=LONG_MS / 1000)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(30)
        before = ready(home)
    with served(home, log=log) as again:
        assert before < 32
        page.goto(again.url + "/library")
        expect(page.get_by_text("32 documents ·")).to_be_visible(timeout=LONG_MS)
        expect(page.get_by_role("progressbar")).to_have_count(0)
        assert again.end() == 0
    with Library(home).open("default") as collection:
        assert collection.ledger.totals().states == {"ready": 32}


def ready(home: Path) -> int:
    with Library(home).open("default") as collection:
        return collection.ledger.totals().states.get("ready", 0)


def test_a_rebuild_outlives_the_app_and_is_given_up_when_asked(tmp_path: Path, page: Page) -> None:
    home, log = tmp_path / "home", tmp_path / "log"
    texts = write_texts(tmp_path / "texts", 60)
    with served(home, log=log) as first:
        open_library(page, first)
        add_folder(page, texts)
        expect(page.get_by_text("60 documents ·")).to_be_visible(timeout=LONG_MS)
        dialog = manage(page, "Rebuild with other settings")
        dialog.get_by_role("slider").press("End")  # 20 steps: the slowest there is
        expect(dialog).to_contain_text("60 documents are embedded anew")
        click(dialog.get_by_role("button", name="Rebuild"))
        expect(page.get_by_text("Rebuilding: embedding")).to_be_visible(timeout=LONG_MS)
        page.goto("about:blank")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(30)
    directory = Library(home).directory("default")
    assert find_draft(directory) is not None
    with served(home, log=log) as again:
        page.goto(again.url + "/library")
        expect(page.get_by_text("Rebuilding: embedding")).to_be_visible(timeout=LONG_MS)
        click(page.get_by_role("button", name="Cancel the rebuild"))
        wait_until(lambda: find_draft(directory) is None, timeout_s=LONG_MS / 1000)
        expect(page.get_by_role("progressbar")).to_have_count(0)
        expect(page.get_by_text("refined by 5 steps")).to_be_visible()
        assert again.end() == 0
    assert not list((home / "rebuilds").iterdir())
