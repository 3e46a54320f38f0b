"""The app over a corpus in a home of its own, and work for it that keeps its model busy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.app.server_process import Served, served, wait_for_model
from tests.app.waiting import wait_until
from tests.bench.startup import SAMPLE, gircse

TEXTS = 5000
"""Some 20,000 passages: more than any measurement lasts."""


@dataclass(frozen=True)
class BusyApp:
    """The app, with its model loaded; what it has indexed is in the collection ``default``."""

    served: Served
    scratch: Path
    client: httpx.Client

    @property
    def url(self) -> str:
        return self.served.url

    def start_indexing(self, collection: str) -> None:
        """Have the app index a folder; return once it is at it."""
        copies = write_copies(self.scratch / "copies", TEXTS)
        body = {"path": str(copies), "collection": collection}
        self.client.post("/api/documents/from-path", json=body).raise_for_status()
        wait_until(lambda: self.is_indexing(collection))

    def is_indexing(self, collection: str) -> bool:
        """Return whether documents are read into a collection right now."""
        running = self.state(collection)["activity"]["running"]
        return bool(running and running["phase"] == "indexing")

    def state(self, collection: str) -> dict[str, Any]:
        """Return what the app says of a collection."""
        answer = self.client.get(f"/api/collections/{collection}").raise_for_status()
        state: dict[str, Any] = answer.json()
        return state


@contextmanager
def busy_app(corpus: Path) -> Iterator[BusyApp]:
    """Index a corpus and serve the app over it, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        gircse(scratch / "home", "index", str(corpus))
        with (
            served(scratch / "home", log=scratch / "log") as app,
            httpx.Client(base_url=app.url, timeout=120, trust_env=False) as client,
        ):
            wait_for_model(app)
            yield BusyApp(app, scratch, client)
            app.end()


def write_copies(folder: Path, count: int) -> Path:
    """Write texts that no model has read before; return their folder."""
    folder.mkdir()
    words = " ".join(path.read_text() for path in sorted(SAMPLE.rglob("*.md"))).split()
    for number in range(count):
        part = [words[(number * 137 + place * 7) % len(words)] for place in range(600)]
        (folder / f"copy-{number:04d}.txt").write_text(" ".join(part))
    return folder
