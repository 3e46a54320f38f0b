"""How long many clients of one server wait for a search, at rest and while it indexes.

    python -m tests.bench.api [--clients 20] [--seconds 20] [PATH]

Every client asks as soon as it has its answer. The documents that are indexed meanwhile are copies
of the corpus with other words, so that the model has to read them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.bench.busy_app import busy_app
from tests.bench.startup import QUERIES, SAMPLE

KINDS: dict[str, dict[str, object]] = {
    "lexical": {"mode": "lexical"},
    "hybrid, 0 steps": {"mode": "hybrid", "steps": 0},
    "hybrid, 5 steps": {"mode": "hybrid", "steps": 5},
}


def ask_for(
    url: str,
    kind: Mapping[str, object],
    questions: Sequence[str],
    *,
    seconds: float,
    clients: int,
    pause: float = 0.0,
) -> list[float]:
    """Return the times of all searches that so many clients make in some seconds."""
    ends = time.monotonic() + seconds

    def ask(number: int) -> list[float]:
        taken: list[float] = []
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            turn = number
            while time.monotonic() < ends:
                body = {"query": questions[turn % len(questions)], "collection": "default", **kind}
                started = time.perf_counter()
                client.post("/api/search", json=body).raise_for_status()
                taken.append(time.perf_counter() - started)
                turn += 1
                time.sleep(pause)
        return taken

    with ThreadPoolExecutor(clients) as pool:
        return [one for taken in pool.map(ask, range(clients)) for one in taken]


def report(title: str, url: str, *, seconds: float, clients: int) -> None:
    """Print percentiles of each kind of search."""
    for kind, body in KINDS.items():
        taken = ask_for(url, body, QUERIES, seconds=seconds, clients=clients)
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
    with busy_app(options.path) as app:
        report("at rest", app.url, seconds=options.seconds, clients=options.clients)
        app.client.post("/api/collections", json={"name": "busy"}).raise_for_status()
        app.start_indexing("busy")
        report("while indexing", app.url, seconds=options.seconds, clients=options.clients)
        assert app.is_indexing("busy"), "it was done before the last search: give it more texts"


if __name__ == "__main__":
    main()
