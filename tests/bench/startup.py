"""How long a person waits: the command from cold, and a search in a running process.

    python -m tests.bench.startup [--rounds 7] [PATH...]

Each command is timed as a whole process, start of Python included; medians of several rounds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from indexer.collections.library import Library
from indexer.embedder import load_embedder
from indexer.searching.search import SearchRequest
from indexer.wording import steps_text

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "documents"
QUERIES = [
    "how to stop bread going stale",
    "deposit back from the landlord",
    "who pays when a parcel is lost",
    "what to pack for a walk in the mountains",
    "the wifi is slow in one room",
]


def gircse(home: Path, *arguments: str) -> None:
    """Run the command to its end."""
    command = [sys.executable, "-m", "indexer.cli", "--home", str(home), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def line(title: str, runs: list[float]) -> None:
    """Print the median and the range of some times in seconds."""
    low, middle, high = min(runs), statistics.median(runs), max(runs)
    print(f"{title:44}{middle * 1000:9.1f} ms   ({low * 1000:.1f} to {high * 1000:.1f})")


def timed(rounds: int, run: Callable[[], object]) -> list[float]:
    """Return how long each of some calls takes, after one that does not count."""
    run()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[SAMPLE])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        gircse(home, "index", *map(str, options.paths))
        search = ("search", QUERIES[0])
        line("python -c pass", timed(rounds, lambda: subprocess.run([sys.executable, "-c", ""])))
        line("gircse --help", timed(rounds, lambda: gircse(home, "--help")))
        line(
            "gircse search --mode lexical",
            timed(rounds, lambda: gircse(home, *search, "--mode", "lexical")),
        )
        line(
            "gircse search --mode dense, cold",
            timed(rounds, lambda: gircse(home, *search, "--mode", "dense")),
        )
        line("gircse search, cold", timed(rounds, lambda: gircse(home, *search)))
        with Library(home).open("default") as collection:
            embedder = load_embedder(collection.config.model)
            searcher = collection.searcher(lambda: embedder)
            print(f"in a running process, {len(collection.store):,} chunks:")
            own = collection.config.steps
            for mode, steps in (
                ("lexical", 0),
                *(("dense", steps) for steps in sorted({0, own})),
                *(("hybrid", steps) for steps in sorted({0, own})),
            ):
                requests = [SearchRequest(query, mode=mode, steps=steps) for query in QUERIES]
                taken = [
                    seconds
                    for request in requests
                    for seconds in timed(rounds, lambda request=request: searcher.search(request))
                ]
                named = mode if mode == "lexical" else f"{mode}, {steps_text(steps)}"
                line(f"  {named}", taken)


if __name__ == "__main__":
    main()
