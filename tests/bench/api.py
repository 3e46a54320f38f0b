"""How long many clients of one server wait for a search, at rest and while it indexes.

    python -m tests.bench.api [--clients 20] [--seconds 20] [PATH]

Every client asks as soon as it has its answer. The documents that are indexed meanwhile are copies
of the corpus with other words, so that the model has to read them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.app.serving import served
from tests.app.waiting import wait_until
from tests.bench.startup import QUERIES, SAMPLE, gircse

KINDS: dict[str, dict[str, object]] = {
    "lexical": {"mode": "lexical"},
    "hybrid, 0 steps": {"mode": "hybrid", "steps": 0},
    "hybrid, 5 steps": {"mode": "hybrid", "steps": 5},
}


def ask_for(url: str, kind: dict[str, object], seconds: float, clients: int) -> list[float]:
    """Return the times of all searches that so many clients make in some seconds."""
    taken: list[float] = []
    ends = time.monotonic() + seconds

    def ask(number: int) -> None:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            turn = number
            while time.monotonic() < ends:
                body = {"query": QUERIES[turn % len(QUERIES)], "collection": "default", **kind}
                started = time.perf_counter()
                client.post("/api/search", json=body).raise_for_status()
                taken.append(time.perf_counter() - started)
                turn += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def write_copies(folder: Path, count: int) -> Path:
    """Write texts that no model has read before; return their folder."""
    folder.mkdir()
    words = " ".join(path.read_text() for path in sorted(SAMPLE.rglob("*.md"))).split()
    for number in range(count):
        part = [words[(number * 137 + place * 7) % len(words)] for place in range(600)]
        (folder / f"copy-{number:04d}.txt").write_text(" ".join(part))
    return folder


def report(title: str, url: str, *, seconds: float, clients: int) -> None:
    """Print percentiles of each kind of search."""
    for kind, body in KINDS.items():
        taken = ask_for(url, body, seconds, clients)
        p50, p95 = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
        print(
            f"{title:16}{kind:18}{len(taken):6} searches, {len(taken) / seconds:7.1f} per second, "
            f"p50 {p50 * 1000:7.1f} ms, p95 {p95 * 1000:7.1f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each kind of search")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        gircse(home, "index", str(options.path))
        with served(home, log=Path(scratch) / "log") as app:
            with httpx.Client(base_url=app.url, timeout=120, trust_env=False) as client:
                wait_until(lambda: client.get("/health").status_code == 200)
                report("at rest", app.url, seconds=options.seconds, clients=options.clients)
                client.post("/api/collections", json={"name": "busy"}).raise_for_status()
                copies = write_copies(Path(scratch) / "copies", 5000)
                body = {"path": str(copies), "collection": "busy"}
                client.post("/api/documents/from-path", json=body).raise_for_status()
                is_indexing = _indexing(client)
                wait_until(is_indexing)
                report("while indexing", app.url, seconds=options.seconds, clients=options.clients)
                assert is_indexing(), "it was done before the last search: give it more texts"
            app.end()


def _indexing(client: httpx.Client) -> Callable[[], bool]:
    def is_indexing() -> bool:
        running = client.get("/api/collections/busy").json()["activity"]["running"]
        return bool(running and running["phase"] == "indexing")

    return is_indexing


if __name__ == "__main__":
    main()
