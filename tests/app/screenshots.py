"""Makes all pictures of the README and the walk-through: ``python -m tests.app.screenshots``.

Serves the app over the sample corpus in a home of its own, has it index, judge and measure what the
pictures show, and photographs it in Chromium. ``search``, ``refine``, ``library`` or ``quality``
behind the command take the pictures of these pages alone.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from tests.app.browser.conftest import CHROMIUM, FLAGS
from tests.app.server_process import Served, served, wait_for_model

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample"
OUTPUT = ROOT / "data" / "screenshots"
QUESTION = "thaw meat in the refrigerator"
WIDE, NARROW = (1440, 900), (390, 844)
JUDGED = 40  # or rather 39: q001 to q039
COLOURS = 256
MAX_BYTES = 250_000
PATIENCE_MS = 120_000
MEASURING_MS = 1_200_000


def main(wanted: Sequence[str]) -> None:
    """Write pictures to ``data/screenshots``.

    Args:
        wanted: pages to photograph; all when empty.
    """
    OUTPUT.mkdir(exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        home, log = Path(scratch) / "gircse", Path(scratch) / "log"
        # A user's folder of their own: the pictures say ~/Documents, whoever takes them.
        environment = {"HOME": scratch}
        documents = shutil.copytree(SAMPLE / "documents", Path(scratch) / "Documents")
        for command in (
            ["index", str(documents), "-c", "sample"],
            ["judgements", "import", "sample", str(judgements(Path(scratch) / "judged"))],
        ):
            subprocess.run(
                [sys.executable, "-m", "indexer.cli", "--home", str(home), *command],
                env=os.environ | environment,
                check=True,
            )
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        with served(home, log=log, variables=environment) as app:
            wait_for_model(app)
            for take in (take_search, take_refine, take_library, take_quality):
                if not wanted or take.__name__.removeprefix("take_") in wanted:
                    take(browser, app)
        browser.close()


def judgements(folder: Path) -> Path:
    """Write the first of the sample's judged questions, so that measuring takes no long time."""
    (folder / "qrels").mkdir(parents=True)
    for name in ("queries.jsonl", "qrels/test.tsv"):
        lines = (SAMPLE / name).read_text(encoding="utf-8").splitlines(keepends=True)
        is_kept = re.compile(rf"query-id|.*\bq0[0-{JUDGED // 10 - 1}]\d\b")
        (folder / name).write_text("".join(filter(is_kept.match, lines)), encoding="utf-8")
    return folder


def take_search(browser: Browser, app: Served) -> None:
    """Results with the reader, light, dark and narrow."""
    for name, size, scheme in (
        ("search-light", WIDE, "light"),
        ("search-dark", WIDE, "dark"),
        ("search-narrow", NARROW, "light"),
    ):
        with opened(browser, size=size, scheme=scheme) as page:
            for _ in range(2):  # the second time everything is warm
                page.goto(f"{app.url}/?collection=sample&q={QUESTION.replace(' ', '+')}")
                expect(page.locator(".gs-status")).to_contain_text(re.compile(r"· 5 steps"))
                expect(page.get_by_text("in all: reading")).to_be_visible()
                expect(page.locator("#gs-found")).to_be_attached()
            save(page, name)


def take_refine(browser: Browser, app: Served) -> None:
    """What the steps make of a question, and of the ranking."""
    with opened(browser, size=(WIDE[0], 1200)) as page:
        page.goto(f"{app.url}/refine?collection=sample&q=how+a+water+pump+works")
        expect(page.locator('[role="graphics-document"]').nth(4)).to_be_attached()
        save(page, "refine")
        ranking = page.get_by_role("heading", name="The ranking, step by step")
        ranking.evaluate("heading => heading.scrollIntoView({block: 'start'})")
        save(page, "ranking")


def take_library(browser: Browser, app: Served) -> None:
    """Files of every fate, and further ones that are being read."""
    documents = SAMPLE / "documents"
    # More steps than by default make the documents take long enough to be seen.
    httpx.post(
        f"{app.url}/api/collections", json={"name": "papers", "steps": 20}, trust_env=False
    ).raise_for_status()
    with opened(browser, size=(WIDE[0], 1340)) as page:
        page.goto(f"{app.url}/library?collection=papers")
        page.locator('input[type="file"]').first.set_input_files(uploads())
        lines = page.locator(".gs-files li")
        expect(lines).to_have_count(len(uploads()))
        expect(page.get_by_role("button", name="Clear this list")).to_be_visible()
        more = [path for name in ("garden", "health") for path in (documents / name).iterdir()]
        page.locator('input[type="file"]').first.set_input_files(sorted(more))
        expect(page.get_by_text(re.compile(r"Indexing: .* left"))).to_be_visible()
        save(page, "library", settle_ms=500)
        expect(page.get_by_role("button", name="Pause")).to_be_visible()  # it was not too late


def uploads() -> list[FilePayload]:
    """Return files as a user might choose them, some of which cannot be read."""
    pdf = (SAMPLE / "documents/kitchen/storing-food-safely.pdf").read_bytes()
    scan = io.BytesIO()
    Image.new("RGB", (620, 877), "white").save(scan, "PDF")
    page = SAMPLE / "documents/home/dripping-tap.md"
    return [
        {"name": "food.pdf", "mimeType": "application/pdf", "buffer": pdf},
        {"name": page.name, "mimeType": "text/markdown", "buffer": page.read_bytes()},
        {"name": "letter-1998.pdf", "mimeType": "application/pdf", "buffer": scan.getvalue()},
        {"name": "contract.pdf", "mimeType": "application/pdf", "buffer": pdf[:700]},
        {
            "name": "holiday.zip",
            "mimeType": "application/zip",
            "buffer": b"PK\x03\x04" + bytes(900),
        },
    ]


def take_quality(browser: Browser, app: Served) -> None:
    """Quality by steps and by time, of the judgements that come with the sample corpus."""
    with opened(browser, size=(WIDE[0], 1000)) as page:
        page.goto(f"{app.url}/quality?collection=sample")
        page.get_by_role("button", name="Measure").click()
        knee = page.get_by_text(re.compile(r"^Knee: \d+ steps?\.$"))
        expect(knee).to_be_visible(timeout=MEASURING_MS)
        expect(page.locator('[role="graphics-document"]').nth(1)).to_be_visible()
        save(page, "quality")


@contextmanager
def opened(browser: Browser, *, size: tuple[int, int], scheme: str = "light") -> Iterator[Page]:
    """Open a window of a size in a colour scheme."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def save(page: Page, name: str, *, settle_ms: int = 2000) -> None:
    """Write what the page shows, once it keeps still."""
    page.wait_for_timeout(settle_ms)
    path = OUTPUT / f"{name}.png"
    # Few colours are enough for pages of text, and make a third of the bytes.
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path} has {size} bytes; the repository wants less than {MAX_BYTES}"
    sys.stdout.write(f"{path.relative_to(ROOT)}  {size // 1000} kB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
