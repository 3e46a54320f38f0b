"""What joining meaning and words gains on judged sets, and what its constants should be.

    python -m tests.bench.fusion SET... [--steps K] [--cache DIR] [--fit SET...]

SET is a folder in the BEIR layout. The table compares both legs alone, reciprocal ranks, the plain
sum of scores at 0.65, what a search does that is told nothing, and the best single weight of each
set, which only judgements can tell. ``--fit`` names sets to choose the constants of
``automatic_weight`` on, once on all of them and once without each, and shows what the choice made
without a set gives on that set.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.embedder import DEFAULT_MODEL, load_embedder
from indexer.evaluation.beir import load_beir
from indexer.evaluation.hybrid import Fuse, Legs, LegSearch, fuse_by_default, fused_rankings
from indexer.evaluation.lexical import lexical_index
from indexer.evaluation.metrics import score_rankings
from indexer.evaluation.passages import Passages, whole_passages
from indexer.evaluation.vectors import VectorFiles
from indexer.searching import fusion
from indexer.stores.base import Scored

WEIGHTS = np.linspace(0.0, 1.0, 21)
LENGTHS = [600, 800, 1000, 1200, 1400, 1600, 1800, 2100, 2500]
DECLINES = [0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0]
COLUMNS = ("BM25", "dense", "ranks", "sum 0.65", "auto", "best", "at weight", "against")


@dataclass(frozen=True)
class Measured:
    """A set with the legs of its queries."""

    name: str
    passages: Passages
    queries: Sequence[str]
    qrels: dict[str, dict[str, int]]
    legs: Sequence[Legs]

    def values(self, fuse: Fuse) -> NDArray[np.float64]:
        """Return nDCG@10 of each query."""
        rankings = fused_rankings(self.legs, self.passages, fuse=fuse)
        scores = score_rankings(self.qrels, dict(zip(self.queries, rankings, strict=True)))
        return scores.values["ndcg@10"]

    def by_weight(self) -> NDArray[np.float64]:
        """Return (W, Q) nDCG@10 at each of ``WEIGHTS``."""
        return np.array([self.values(at_weight(float(weight))) for weight in WEIGHTS])


def at_weight(weight: float) -> Fuse:
    """Return fusion at one weight for all queries."""
    return lambda legs: fusion.weighted(legs.dense, legs.lexical, dense_weight=weight)


def plain_sum(legs: Legs) -> list[Scored]:
    """Fuse by the sum of both scores, each divided by the best of its leg."""
    totals = dict.fromkeys(legs.dense, 0.0)
    for scores, weight in ((legs.dense, 0.65), (legs.lexical, 0.35)):
        scale = max(map(abs, scores.values()), default=0.0) or 1.0
        for chunk_id, score in scores.items():
            totals[chunk_id] += weight * score / scale
    return ranked(totals)


def by_ranks(legs: Legs) -> list[Scored]:
    """Fuse by reciprocal ranks."""
    words = sorted((one for one in legs.lexical if legs.lexical[one]), key=legs.lexical.__getitem__)
    meaning = sorted(legs.dense, key=legs.dense.__getitem__)
    return fusion.reciprocal_ranks(meaning[::-1][:100], words[::-1][:100])


def ranked(totals: dict[str, float]) -> list[Scored]:
    scored = [Scored(chunk_id, total) for chunk_id, total in totals.items()]
    return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))


def measure(folder: Path, files: VectorFiles, steps: int) -> Measured:
    """Embed a set and search both legs."""
    judged = load_beir(folder)
    passages = whole_passages(judged.documents)
    texts = list(judged.queries.values())
    vectors = files.embed("document", passages.texts, [steps]).vectors
    queries = files.embed("query", texts, [steps]).vectors
    with lexical_index(passages) as index:
        legs = LegSearch(passages, index, vectors).search(texts, queries)[steps]
    qrels = {query: dict(grades) for query, grades in judged.qrels.items()}
    return Measured(judged.name, passages, list(judged.queries), qrels, legs)


def row(measured: Measured, grid: NDArray[np.float64]) -> list[float]:
    """Return one line of the table, in points of nDCG@10."""
    means = 100.0 * grid.mean(axis=1)
    best = int(means.argmax())
    automatic = 100.0 * measured.values(fuse_by_default).mean()
    return [
        means[0],
        means[-1],
        100.0 * measured.values(by_ranks).mean(),
        100.0 * measured.values(plain_sum).mean(),
        automatic,
        means[best],
        float(WEIGHTS[best]),
        automatic - max(means[0], means[-1]),
    ]


def print_row(name: str, figures: Sequence[float]) -> None:
    print(f"{name:28}" + "".join(f"{figure:10.2f}" for figure in figures), flush=True)


def gain(measured: Measured, grid: NDArray[np.float64], even_bytes: float, decline: float) -> float:
    """Return nDCG@10 with other constants, from the grid (between its weights: linear)."""
    lengths = [np.log(np.maximum(legs.lengths, 1)).mean() for legs in measured.legs]
    weights = [1.0 / (1.0 + exp(decline * (mean - log(even_bytes)))) for mean in lengths]
    values = [np.interp(weight, WEIGHTS, grid[:, number]) for number, weight in enumerate(weights)]
    return 100.0 * float(np.mean(values))


def fit(sets: Sequence[Measured], grids: Sequence[NDArray[np.float64]]) -> None:
    """Print the constants that are best on average over all sets, and over all but one."""
    table = np.array(
        [
            [[gain(one, grid, even, decline) for decline in DECLINES] for even in LENGTHS]
            for one, grid in zip(sets, grids, strict=True)
        ]
    )  # (S, L, D)

    def best(part: NDArray[np.float64]) -> tuple[int, int]:
        place = np.unravel_index(part.mean(axis=0).argmax(), part.shape[1:])
        return int(place[0]), int(place[1])

    length, decline = best(table)
    print(f"\nbest on all: even at {LENGTHS[length]} bytes, decline {DECLINES[decline]}", end="")
    print(
        f": {table[:, length, decline].mean():.2f}; one weight: {table[:, :, 0].mean(0).max():.2f}"
    )
    for number, one in enumerate(sets):
        length, decline = best(np.delete(table, number, axis=0))
        value = table[number, length, decline]
        print(f"  without {one.name:28} {LENGTHS[length]:5} {DECLINES[decline]:.2f} -> {value:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--fit", nargs="*", type=Path, default=[])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    embedder = load_embedder(options.model)
    steps = embedder.info.default_steps if options.steps is None else options.steps
    with tempfile.TemporaryDirectory() as folder:
        files = VectorFiles(embedder, options.cache or Path(folder))
        print(
            f"{options.model}, {steps} steps, nDCG@10\n{'':28}"
            + "".join(map("{:>10}".format, COLUMNS))
        )
        for folders in (options.sets, options.fit):
            sets, grids, rows = [], [], []
            for place in folders:
                sets.append(measure(place, files, steps))
                grids.append(sets[-1].by_weight())
                rows.append(row(sets[-1], grids[-1]))
                print_row(sets[-1].name, rows[-1])
            if sets:
                print_row("average", np.mean(rows, axis=0).tolist())
        if options.fit:
            fit(sets, grids)


if __name__ == "__main__":
    main()
