"""Many clients at once, while documents are indexed by the same process."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx

from tests.app.api.conftest import client_of
from tests.app.server_process import Served
from tests.app.waiting import wait_until

CLIENTS = 20
QUESTIONS = (
    "limescale in the cartridge",
    "thaw meat",
    "the breaker trips",
    "store food in the refrigerator",
)


def write_texts(folder: Path, count: int) -> Path:
    """Fill a folder with texts that take the model a moment each; return it."""
    for number in range(count):
        words = " ".join(f"word{number}-{place} pump water" for place in range(120))
        (folder / f"text-{number:03d}.txt").write_text(words)
    return folder


def test_twenty_clients_search_while_documents_are_indexed(
    api: httpx.Client, api_server: Served, tmp_path: Path
) -> None:
    api.post("/api/collections", json={"name": "busy"})
    asked = {"path": str(write_texts(tmp_path, 60)), "collection": "busy"}
    assert api.post("/api/documents/from-path", json=asked).status_code == 202

    def work() -> dict[str, object] | None:
        activity = api.get("/api/collections/busy").json()["activity"]
        running: dict[str, object] | None = activity["running"]
        return running

    wait_until(lambda: (work() or {}).get("phase") == "indexing")
    failures: list[str] = []
    found: list[int] = []

    def search(number: int) -> None:
        with client_of(api_server.url) as client:
            for turn in range(3):
                body = {
                    "query": QUESTIONS[(number + turn) % len(QUESTIONS)],
                    "mode": ("hybrid", "dense", "lexical")[(number + turn) % 3],
                    "steps": (0, 5)[number % 2],
                    "collection": ("default", "busy")[turn % 2],
                }
                response = client.post("/api/search", json=body)
                if response.status_code != 200:
                    failures.append(response.text)
                elif body["collection"] == "default":
                    found.append(len(response.json()["hits"]))

    threads = [threading.Thread(target=search, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(found) == CLIENTS * 2
    assert min(found) > 0
    assert work() is not None  # else nothing was indexed meanwhile
    assert api.delete("/api/collections/busy").status_code == 200
