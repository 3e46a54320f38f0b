"""Finds the best weight of meaning against words, and the steps worth their time, by judgements.

Every figure that a choice is made by comes from queries that the choice did not see: tenfold cross
validation. Knows scores and judgements; where they come from is ``indexer.evaluation.tuning_sets``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.collections.search_defaults import SearchDefaults
from indexer.errors import UsageError
from indexer.evaluation.hybrid import Legs, fuse_by_default
from indexer.evaluation.metrics import QueryScores, score_rankings
from indexer.evaluation.significance import paired_p_value
from indexer.searching.fusion import AUTOMATIC, DenseWeight, weighted
from indexer.stores.base import Scored

__all__ = ["CHOICES", "MIN_QUERIES", "JudgedLegs", "StepOutcome", "TuningReport", "knee", "tune"]

CHOICES: tuple[DenseWeight, ...] = (AUTOMATIC, *(number / 10 for number in range(11)))
_WORDS, _MEANING = CHOICES.index(0.0), CHOICES.index(1.0)

MIN_QUERIES = 10
_FOLDS = 10
_SEED = 20250924
_KNEE = 0.001
"""Steps that gain less nDCG@10 than this are not worth their time."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class JudgedLegs:
    """Judged queries over one collection or set, searched at several step counts.

    Args:
        name: what was searched.
        qrels: grades of documents for each of Q queries.
        legs: for each step count the Q queries' candidates, in the order of ``qrels``.
        rank_documents: turns ranked chunks into ranked documents.
        latency_ms: for each step count the median time of one hybrid search.
    """

    name: str
    qrels: Mapping[str, Mapping[str, int]]
    legs: Mapping[int, Sequence[Legs]]
    rank_documents: Callable[[Sequence[Scored]], list[str]]
    latency_ms: Mapping[int, float]

    def scores(self, steps: int, dense_weight: DenseWeight) -> QueryScores:
        """Return the metrics of every query at a step count, fused under a weight."""
        rankings = {
            query: self.rank_documents(_fuse(pair, dense_weight))
            for query, pair in zip(self.qrels, self.legs[steps], strict=True)
        }
        return score_rankings(self.qrels, rankings)


def _fuse(legs: Legs, dense_weight: DenseWeight) -> Sequence[Scored]:
    if dense_weight == AUTOMATIC:
        return fuse_by_default(legs)
    return weighted(legs.dense, legs.lexical, dense_weight=dense_weight)


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What hybrid search reaches at one step count; nDCG@10, the mean over sets.

    Args:
        steps: refinement steps of the queries.
        latency_ms: median time of one search.
        words: by words alone.
        meaning: by meaning alone.
        automatic: with the weight that is chosen for each query without judgements.
        weight: what is best on all judged queries.
        best: with that, on the very queries that chose it.
        held_out: with what is best on the other queries, for each tenth of the queries.
        p_value: chance of such a difference between ``held_out`` and ``automatic`` if there were
            none; None where it cannot be said.
    """

    steps: int
    latency_ms: float
    words: float
    meaning: float
    automatic: float
    weight: DenseWeight
    best: float
    held_out: float
    p_value: float | None

    @property
    def advised_weight(self) -> DenseWeight:
        """``weight`` where it also gains on queries that did not choose it, else automatic."""
        return self.weight if self.held_out > self.automatic else AUTOMATIC

    @property
    def expected(self) -> float:
        """Quality that ``advised_weight`` promises."""
        return max(self.held_out, self.automatic)


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What was found, and what to do.

    Args:
        queries: how many judged queries each set has.
        outcomes: by rising step count.
        budget_ms: what one search may take; None where that was not asked.
        chosen: the row that the advice is from.
    """

    queries: Mapping[str, int]
    outcomes: tuple[StepOutcome, ...]
    budget_ms: float | None
    chosen: StepOutcome

    @property
    def advised(self) -> SearchDefaults:
        """The advice as search defaults; names steps only where a budget chose them."""
        steps = None if self.budget_ms is None else self.chosen.steps
        return SearchDefaults(dense_weight=self.chosen.advised_weight, steps=steps)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "queries": dict(self.queries),
            "budget_ms": self.budget_ms,
            "outcomes": [
                {**asdict(one), "advised_weight": one.advised_weight} for one in self.outcomes
            ],
            "chosen_steps": self.chosen.steps,
            "advised": asdict(self.advised),
        }


def tune(
    sets: Sequence[JudgedLegs],
    *,
    steps: int,
    budget_ms: float | None = None,
    on_outcome: Callable[[StepOutcome], None] = lambda outcome: None,
) -> TuningReport:
    """Compare weights at every step count that the sets were searched at.

    Args:
        sets: all searched at the same step counts; each weighs the same.
        steps: the count that the weight is for where no budget chooses one.
        budget_ms: choose the steps: the fewest that come within 0.1 point of the best of those
            whose searches take at most this long.
        on_outcome: told each row.

    Raises:
        UsageError: too few queries to choose by, no step count fits the budget, or a library that
            measures is missing.
    """
    for one in sets:
        if len(one.qrels) < MIN_QUERIES:
            raise UsageError(
                f"{one.name} has {len(one.qrels)} judged queries; choosing takes at least "
                f"{MIN_QUERIES}, and some 50 to be worth much"
            )
    outcomes = []
    for count in sorted(sets[0].legs):
        outcomes.append(_outcome(sets, count))
        on_outcome(outcomes[-1])
    chosen = _row(outcomes, steps) if budget_ms is None else _within(outcomes, budget_ms)
    return TuningReport(
        queries={one.name: len(one.qrels) for one in sets},
        outcomes=tuple(outcomes),
        budget_ms=budget_ms,
        chosen=chosen,
    )


def knee(quality: Mapping[int, float]) -> int:
    """Return the fewest steps whose quality comes within 0.1 point of the best.

    Args:
        quality: nDCG@10 by step count.
    """
    most = max(quality.values())
    return min(steps for steps, value in quality.items() if value >= most - _KNEE)


def _outcome(sets: Sequence[JudgedLegs], steps: int) -> StepOutcome:
    values = [_values(one, steps) for one in sets]  # of each set (C, Q)
    means = _means(values)
    best = int(means.argmax())
    held_out = _held_out(values)
    return StepOutcome(
        steps=steps,
        latency_ms=float(np.mean([one.latency_ms[steps] for one in sets])),
        words=float(means[_WORDS]),
        meaning=float(means[_MEANING]),
        automatic=float(means[0]),
        weight=CHOICES[best],
        best=float(means[best]),
        held_out=float(np.mean([part.mean() for part in held_out])),
        p_value=paired_p_value(
            np.concatenate(held_out), np.concatenate([part[0] for part in values])
        ),
    )


def _values(judged: JudgedLegs, steps: int) -> Values:
    """Return (C, Q) nDCG@10 of each choice for each query."""
    return np.array([judged.scores(steps, choice).values["ndcg@10"] for choice in CHOICES])


def _means(values: Sequence[Values]) -> Values:
    """Return (C,) means over sets of the means over their queries."""
    means: Values = np.mean([part.mean(axis=1) for part in values], axis=0)
    return means


def _held_out(values: Sequence[Values]) -> list[Values]:
    """Return of each set (Q,) values, each with the choice that is best without its fold."""
    draw = np.random.default_rng(_SEED)
    folds = [draw.permutation(part.shape[1]) % _FOLDS for part in values]
    found = [np.empty(part.shape[1]) for part in values]
    for fold in range(_FOLDS):
        rest = [part[:, of != fold] for part, of in zip(values, folds, strict=True)]
        best = int(_means(rest).argmax())
        for part, of, into in zip(values, folds, found, strict=True):
            into[of == fold] = part[best, of == fold]
    return found


def _row(outcomes: Sequence[StepOutcome], steps: int) -> StepOutcome:
    return next(one for one in outcomes if one.steps == steps)


def _within(outcomes: Sequence[StepOutcome], budget_ms: float) -> StepOutcome:
    fitting = [one for one in outcomes if one.latency_ms <= budget_ms]
    if not fitting:
        fastest = min(outcomes, key=lambda one: one.latency_ms)
        raise UsageError(
            f"no search fits into {budget_ms:g} ms: the fastest, with {fastest.steps} steps, "
            f"takes {fastest.latency_ms:.0f} ms; allow more, or search by words alone"
        )
    steps = knee({one.steps: one.expected for one in fitting})
    return _row(fitting, steps)
