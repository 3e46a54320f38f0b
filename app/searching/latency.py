"""Where the time of a search went: a bar, and the same in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from app.rendering import plain
from indexer.searching.search import SearchResult
from indexer.wording import milliseconds_text, steps_text

__all__ = ["Part", "latency_html", "latency_parts", "latency_text"]

Kind = Literal["prefill", "step", "dense", "lexical", "fuse", "fetch", "other"]

_LEAST_SHARE = 0.004  # of the bar, below which a part is not drawn


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of time.

    Args:
        kind: what was done.
        label: the same for people.
        milliseconds: how long it took.
    """

    kind: Kind
    label: str
    milliseconds: float


def latency_parts(result: SearchResult) -> list[Part]:
    """Return what a search did, in order; each refinement step is a part of its own."""
    timings, parts = result.timings_ms, []
    if result.steps_ms:
        first = (result.steps or 0) - len(result.steps_ms) + 1
        # A model that defines no step 0 takes its first one along with reading the question.
        name = "reading" if first == 0 else f"reading and {steps_text(first)}"
        parts.append(Part("prefill", name, result.steps_ms[0]))
        parts += [
            Part("step", f"step {step}", taken)
            for step, taken in enumerate(result.steps_ms[1:], start=first + 1)
        ]
    if "feedback" in timings:
        parts.append(Part("other", "feedback", timings["feedback"]))
    names: tuple[tuple[Kind, str], ...] = (
        ("dense", "meaning"),
        ("lexical", "words"),
        ("fuse", "fusion"),
        ("fetch", "texts"),
    )
    parts += [Part(kind, name, timings[kind]) for kind, name in names if kind in timings]
    rest = timings["total"] - sum(part.milliseconds for part in parts)
    return [*parts, Part("other", "the rest", max(0.0, rest))]


def latency_text(result: SearchResult) -> str:
    """Return how long each part of a search took, in one line."""
    said = []
    parts = latency_parts(result)
    steps = [part.milliseconds for part in parts if part.kind == "step"]
    for part, after in pairwise([*parts, None]):
        if part is None or part.label == "the rest":
            continue
        if part.kind == "step":
            if after is None or after.kind != "step":  # all of them at once
                each = milliseconds_text(sum(steps) / len(steps))
                said.append(f"{steps_text(len(steps))} of {each}")
            continue
        said.append(f"{part.label} {milliseconds_text(part.milliseconds)}")
    looks = f" · looked {result.looks} times" if result.looks > 1 else ""
    total = milliseconds_text(result.timings_ms["total"])
    return f"{total} in all: {' · '.join(said)}{looks}"


def latency_html(result: SearchResult) -> str:
    """Return the bar with its words below, in which every part has the sign of its stretch."""
    total = result.timings_ms["total"] or 1.0
    bar = "".join(
        f'<i class="gs-part-{part.kind}" style="flex-grow:{part.milliseconds / total:.4f}" '
        f'title="{plain(part.label)}: {plain(milliseconds_text(part.milliseconds))}"></i>'
        for part in latency_parts(result)
        if part.milliseconds / total >= _LEAST_SHARE
    )
    return (
        f'<div class="gs-latency"><div class="gs-bar" aria-hidden="true">{bar}</div>'
        f"<p>{plain(latency_text(result))}</p></div>"
    )
