"""Makes the pictures of the README: ``python tests/app/screenshots.py``.

Serves the app over the sample corpus in a home of its own and photographs it in Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.app.browser.conftest import CHROMIUM, FLAGS  # noqa: E402
from tests.app.serving import Served, served  # noqa: E402

OUTPUT = ROOT / "data" / "screenshots"
QUESTION = "thaw meat in the refrigerator"
MAX_BYTES = 300_000


def main() -> None:
    """Write all pictures to ``data/screenshots``."""
    OUTPUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        home, log = Path(scratch) / "gircse", Path(scratch) / "log"
        # A user's folder of their own: the pictures say ~/Documents, whoever takes them.
        environment = {"HOME": scratch}
        documents = shutil.copytree(ROOT / "data/sample/documents", Path(scratch) / "Documents")
        command = [sys.executable, "-m", "indexer.cli", "--home", str(home), "index"]
        subprocess.run(
            [*command, str(documents), "-c", "sample"], env=os.environ | environment, check=True
        )
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        with served(home, log=log, variables=environment) as app:
            for scheme in ("light", "dark"):
                photograph(browser, app, scheme)
        browser.close()


def photograph(browser: Browser, app: Served, scheme: str) -> None:
    """Take the pictures of one colour scheme."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{app.url}/?q={QUESTION.replace(' ', '+')}")
    page.get_by_text("in all: reading").wait_for()  # the model is ready
    page.reload()  # once more, as a question is answered when everything is warm
    page.get_by_text("in all: reading").wait_for()
    save(page, f"search-{scheme}")
    if scheme == "light":
        page.goto(f"{app.url}/library")
        page.locator(".stDataFrame").wait_for()
        save(page, "library-light")
    context.close()


def save(page: Page, name: str) -> None:
    """Write what the page shows, once it keeps still."""
    page.wait_for_timeout(1500)
    path = OUTPUT / f"{name}.png"
    page.screenshot(path=path)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path} has {size} bytes; the README wants less than {MAX_BYTES}"
    sys.stdout.write(f"{path.relative_to(ROOT)}  {size // 1000} kB\n")


if __name__ == "__main__":
    main()
