"""Parts of the app on pages of the tests' own, served as the app's are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from tests.app.browser.watching import click, expect
from tests.app.server_process import answers, free_port
from tests.app.waiting import wait_until

START = """
import sys
from pathlib import Path
from app import server
server.SCRIPT = Path(sys.argv[1])
server.run(port=int(sys.argv[2]), address="127.0.0.1", headless=True)
"""
FAILING = """
import streamlit as st

st.title("Before it fails")

@st.fragment
def part():
    if st.button("Fail in a part"):
        raise ValueError("/secret/of/a/part")

part()
if st.button("Fail"):
    raise ValueError("/secret/path")
"""
READING = """
import streamlit as st

from app.pages.reader import draw_reader
from app.resources import services

st.set_page_config(layout="wide")
st.html("app/pages/style.css")
parts = services()
rail, pane = st.columns([1, 2])
with parts.collections.use("default") as opened:
    records = {record.title: record for record in opened.store.documents()}
    chunks = {title: opened.store.chunks(record.id) for title, record in records.items()}
with rail:
    for title in records:
        for place, name in ((0, "first"), (-1, "last")):
            if st.button(f"{title}: {name}", key=f"{title}-{name}"):
                st.session_state["chosen"] = (title, chunks[title][place])
with pane, st.container(height=600):
    if "chosen" in st.session_state:
        title, chunk = st.session_state["chosen"]
        draw_reader(parts, "default", records[title], chunk, [(0, 20)])
"""


@contextmanager
def running(script: str, folder: Path, home: Path) -> Iterator[str]:
    """Serve a page; yield its address."""
    file, log = folder / "page.py", folder / "log"
    file.write_text(script)
    port = free_port()
    environment = {**os.environ, "GIRCSE_HOME": str(home)}
    command = [sys.executable, "-c", START, str(file), str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or answers(f"{url}/_stcore/health"))
            assert process.poll() is None, log.read_text()
            yield url
        finally:
            process.kill()


def test_a_page_or_part_that_fails_gives_a_number_that_the_log_knows(
    tmp_path: Path, page: Page
) -> None:
    with running(FAILING, tmp_path, tmp_path / "home") as url:
        page.goto(url)
        for label, secret in (("Fail", "/secret/path"), ("Fail in a part", "/secret/of/a/part")):
            click(page.get_by_role("button", name=label, exact=True))
            alert = page.get_by_role("alert").filter(has_text="Something unexpected").first
            expect(alert).to_be_visible()
            number = re.search(r"error ([0-9a-f]{8})", alert.inner_text())
            assert number is not None
            body = page.locator("body").inner_text()
            assert "Traceback" not in body
            assert "secret" not in body
            log = (tmp_path / "log").read_text()
            assert number[1] in log
            assert secret in log
            page.reload()
            expect(page.get_by_role("alert")).to_have_count(0)


def test_beside_results_each_chosen_passage_is_scrolled_to(
    tmp_path: Path, indexed_home: Path, page: Page
) -> None:
    shutil.copytree(indexed_home, tmp_path / "home")
    with running(READING, tmp_path, tmp_path / "home") as url:
        page.goto(url)
        found = page.locator("#gs-found")
        for name in ("Stop a tap from dripping", "Storing food safely"):
            for place in ("last", "first", "last"):
                click(page.get_by_role("button", name=re.compile(f"{name}.*: {place}")))
                expect(page.locator(".stSpinner")).to_have_count(0)
                expect(found).to_have_count(1)
                expect(found).to_be_in_viewport()
