"""Choosing a weight and steps by judgements, and what the choice is worth."""

from __future__ import annotations

import random

import pytest

from indexer.collections.search_defaults import SearchDefaults
from indexer.errors import UsageError
from indexer.evaluation.hybrid import Legs
from indexer.evaluation.tuning import CHOICES, JudgedLegs, tune

SHORT, LONG = 60, 20_000  # bytes: for the automatic weight a sign to trust meaning, and words


def legs(right: str, *, length: int, seed: int, noise: float = 0.6) -> Legs:
    """Return 30 candidates; the leg named ``right`` puts the relevant one, "r", first.

    It scores 1.0 there; all the others, and all of them in the other leg, up to ``noise``.
    """
    draw = random.Random(seed)
    names = ["r", *(f"x{number:02}" for number in range(29))]
    lost = {name: draw.uniform(0.0, noise) for name in names}
    told = {name: draw.uniform(0.0, noise) for name in names} | {"r": 1.0}
    dense, lexical = (told, lost) if right == "meaning" else (lost, told)
    return Legs("query", dense, {name: 20 * score for name, score in lexical.items()}, [length])


def judged(
    rights: dict[int, list[str]],
    *,
    length: int,
    noise: float = 0.6,
    latency_ms: dict[int, float] | None = None,
    name: str = "set",
) -> JudgedLegs:
    queries = len(next(iter(rights.values())))
    return JudgedLegs(
        name=name,
        qrels={f"q{number}": {"r": 1} for number in range(queries)},
        legs={
            step: [
                legs(right, length=length, seed=7 * number + step, noise=noise)
                for number, right in enumerate(asked)
            ]
            for step, asked in rights.items()
        },
        rank_documents=lambda hits: [hit.chunk_id for hit in hits],
        latency_ms=latency_ms or dict.fromkeys(rights, 10.0),
    )


def test_a_weight_that_gains_on_queries_it_did_not_see_is_advised() -> None:
    report = tune([judged({5: ["words"] * 40}, length=SHORT)], steps=5)

    (one,) = report.outcomes
    assert one.words == pytest.approx(1.0)
    assert one.meaning < 0.5
    assert one.automatic < one.held_out == pytest.approx(1.0)
    assert isinstance(one.weight, float)
    assert one.weight < 0.5
    assert one.p_value is not None
    assert one.p_value < 0.05
    assert report.advised == SearchDefaults(dense_weight=one.weight)
    assert report.queries == {"set": 40}


def test_the_automatic_weight_stays_where_nothing_beats_it() -> None:
    report = tune([judged({0: ["words"] * 40}, length=LONG)], steps=0)

    assert report.chosen.automatic == pytest.approx(1.0)
    assert report.advised == SearchDefaults(dense_weight="auto")


def test_what_fits_the_queries_by_chance_shows_on_queries_held_out() -> None:
    """Whichever leg is right is drawn by lot, so whatever weight is best is best by chance."""
    gaps = []
    for seed in range(8):
        draw = random.Random(seed)
        rights = [draw.choice(["words", "meaning"]) for _ in range(12)]
        (one,) = tune([judged({0: rights}, length=1600, noise=0.9)], steps=0).outcomes
        gaps.append(one.best - one.held_out)
        assert one.advised_weight == ("auto" if one.held_out <= one.automatic else one.weight)
    assert min(gaps) >= 0.0
    assert max(gaps) > 0.01


def test_sets_weigh_the_same_whatever_their_size() -> None:
    large = judged({0: ["meaning"] * 90}, length=1600, name="large")
    small = judged({0: ["words"] * 10}, length=1600, name="small")

    (one,) = tune([large, small], steps=0).outcomes

    assert one.words == pytest.approx((1.0 + tune([large], steps=0).outcomes[0].words) / 2)
    assert one.meaning == pytest.approx((1.0 + tune([small], steps=0).outcomes[0].meaning) / 2)


def test_a_budget_takes_the_fewest_steps_of_equal_worth() -> None:
    fast = judged({0: ["words"] * 20, 1: ["words"] * 20, 5: ["words"] * 20}, length=LONG)

    report = tune([fast], steps=5, budget_ms=50)

    assert report.chosen.steps == 0
    assert report.advised == SearchDefaults(dense_weight="auto", steps=0)


def test_a_budget_takes_the_best_steps_that_fit() -> None:
    times = {0: 10.0, 1: 20.0, 5: 60.0}
    mixed = [["words", "meaning"] * 15, ["words"] * 25 + ["meaning"] * 5, ["words"] * 30]
    rights = dict(zip(times, mixed, strict=True))  # the fewer disagree, the better one weight fits
    sets = [judged(rights, length=LONG, noise=0.9, latency_ms=times)]

    for budget, steps in ((15, 0), (30, 1), (99, 5)):
        report = tune(sets, steps=0, budget_ms=budget)
        assert report.advised.steps == report.chosen.steps == steps
    with pytest.raises(UsageError, match=r"no search fits into 5 ms: the fastest, with 0 steps"):
        tune(sets, steps=0, budget_ms=5)


def test_steps_are_not_advised_where_no_budget_asked_for_them() -> None:
    sets = [judged({0: ["words"] * 20, 5: ["words"] * 20}, length=LONG)]
    report = tune(sets, steps=5)
    assert (report.chosen.steps, report.advised.steps) == (5, None)


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(UsageError, match="set has 9 judged queries; choosing takes at least 10"):
        tune([judged({0: ["words"] * 9}, length=SHORT)], steps=0)


def test_the_report_is_plain_values_and_each_row_is_told() -> None:
    told = []
    sets = [judged({0: ["words"] * 10, 2: ["meaning"] * 10}, length=SHORT)]

    report = tune(sets, steps=0, on_outcome=told.append)

    assert tuple(told) == report.outcomes
    plain = report.as_dict()
    assert plain["queries"] == {"set": 10}
    assert [row["steps"] for row in plain["outcomes"]] == [0, 2]
    assert plain["advised"] == {"dense_weight": report.chosen.advised_weight, "steps": None}
    assert CHOICES[0] == "auto"
    assert CHOICES[1:] == tuple(number / 10 for number in range(11))
