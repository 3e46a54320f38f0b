"""How long people wait for a search when many have the page open, at rest and while it indexes.

    python -m tests.bench.sessions [--sessions 20] [--seconds 60] [--pause 0] [PATH]

Each session opens the search page and asks the sample corpus's questions of it one after the other,
at its defaults, in the words of Streamlit's own protocol. Hits come first, are refined, and the
search ends when everything is drawn, the document of the best hit included; it counts as an error
unless it brought hits and no complaint. Beside it stand the same questions by as many clients of
the REST API. Documents that no model has read before are then indexed into the collection that is
searched. Prints a table, and all of it as one line of JSON; exits with 1 where anything went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.api import ask_for
from tests.bench.busy_app import BusyApp, busy_app
from tests.bench.startup import SAMPLE
from tests.bench.visiting import VisitError, visit

COLLECTION = "default"
QUERIES = SAMPLE.parent / "queries.jsonl"
SHOWN_ERRORS = 5


@dataclass
class Watch:
    """What the sessions of one measurement saw; times in seconds."""

    first_hits: list[float] = field(default_factory=list)
    refined: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def sit(
    url: str, watch: Watch, questions: Sequence[str], *, first: int, ends: float, pause: float
) -> None:
    """Search again and again until a time; open the page anew after an error, as people do."""
    turn = first
    while time.monotonic() < ends:
        try:
            async with visit(url, COLLECTION) as visitor:
                while True:  # once at least, however long the page takes to open
                    drawn = await visitor.search(questions[turn % len(questions)])
                    watch.first_hits.append(drawn.first_hits_s)
                    watch.refined.append(drawn.refined_s)
                    watch.finished.append(drawn.finished_s)
                    turn += 1
                    await asyncio.sleep(pause)
                    if time.monotonic() >= ends:
                        return
        except VisitError as error:
            watch.errors.append(str(error))
            turn += 1
            await asyncio.sleep(1)


async def watch_sessions(
    url: str, questions: Sequence[str], *, sessions: int, seconds: float, pause: float
) -> Watch:
    """Return what so many sessions saw in some seconds."""
    watch = Watch()
    ends = time.monotonic() + seconds
    apart = len(questions) // sessions or 1  # no two ask the same at the same time
    async with asyncio.TaskGroup() as group:
        for number in range(sessions):
            first = number * apart
            group.create_task(sit(url, watch, questions, first=first, ends=ends, pause=pause))
    return watch


def percentiles(taken: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum in milliseconds."""
    if len(taken) < 2:
        return dict.fromkeys(("p50", "p95", "max"), round(sum(taken) * 1000, 1))
    p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
    found = {"p50": statistics.median(taken), "p95": p95, "max": max(taken)}
    return {name: round(value * 1000, 1) for name, value in found.items()}


def measure(
    title: str, app: BusyApp, questions: Sequence[str], options: argparse.Namespace
) -> dict[str, object]:
    """Measure pages, then the API; print a table."""
    watch = asyncio.run(
        watch_sessions(
            app.url,
            questions,
            sessions=options.sessions,
            seconds=options.seconds,
            pause=options.pause,
        )
    )
    asked = ask_for(
        app.url,
        {},
        questions,
        seconds=options.seconds,
        clients=options.sessions,
        pause=options.pause,
    )
    times = {
        "first_hits": percentiles(watch.first_hits),
        "refined": percentiles(watch.refined),
        "all_drawn": percentiles(watch.finished),
        "api": percentiles(asked),
    }
    ratio = round(times["all_drawn"]["p95"] / times["api"]["p95"], 2)
    print(f"{title}: {len(watch.finished)} searches in the page, {len(watch.errors)} errors")
    for name, taken in times.items():
        shown = ", ".join(f"{key} {value:8.1f} ms" for key, value in taken.items())
        print(f"  {name.replace('_', ' '):12}{shown}")
    print(f"  p95 of the page is {ratio} times that of the API ({len(asked)} searches)")
    for error in watch.errors[:SHOWN_ERRORS]:
        print(f"  error: {error}")
    return {
        "searches": len(watch.finished),
        "errors": len(watch.errors),
        "api_searches": len(asked),
        "ms": times,
        "p95_page_to_api": ratio,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each of four measurements")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds to read the hits for")
    options = parser.parse_args()
    lines = QUERIES.read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["text"] for line in lines]
    with busy_app(options.path) as app:
        at_rest = measure("at rest", app, questions, options)
        before = app.state(COLLECTION)["chunks"]
        app.start_indexing(COLLECTION)
        busy = measure("while indexing", app, questions, options)
        assert app.is_indexing(COLLECTION), "it was done before the last search: measure for less"
        indexed = app.state(COLLECTION)["chunks"] - before
        print(f"  {indexed} passages were indexed meanwhile")
    found = {
        "sessions": options.sessions,
        "seconds": options.seconds,
        "pause_s": options.pause,
        "cores": os.cpu_count(),
        "at_rest": at_rest,
        "while_indexing": {**busy, "passages_indexed": indexed},
    }
    print(json.dumps(found))
    sys.exit(1 if at_rest["errors"] or busy["errors"] else 0)


if __name__ == "__main__":
    main()
