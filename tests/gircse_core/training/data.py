"""Pairs for training tests: small worlds in which the answer shares words with its question."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

THINGS = [
    "river",
    "bridge",
    "kettle",
    "garden",
    "violin",
    "engine",
    "pepper",
    "window",
    "ladder",
    "comet",
    "anchor",
    "candle",
]
DEEDS = [
    "repair",
    "paint",
    "clean",
    "measure",
    "borrow",
    "carry",
    "hide",
    "sell",
    "polish",
    "weigh",
    "draw",
    "fold",
]


def questions(count: int) -> list[dict[str, str]]:
    """Return pairs that are all different."""
    pairs = []
    for number in range(count):
        thing, deed = THINGS[number % 12], DEEDS[(number // 12 + number) % 12]
        pairs.append(
            {
                "query": f"how do I {deed} a {thing} number {number}",
                "pos": f"To {deed} the {thing}, item {number}, take your time and both hands.",
            }
        )
    return pairs


def write_pairs(file: Path, pairs: list[dict[str, object]], **extra: object) -> Path:
    """Write JSON lines, gzipped where the name says so."""
    text = "".join(json.dumps({**pair, **extra}) + "\n" for pair in pairs)
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text)
    return file
