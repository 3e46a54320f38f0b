"""The arithmetic of joining two rankings."""

from __future__ import annotations

import random
from math import exp

import pytest

from indexer.searching.fusion import automatic_weight, deciding_chunks, reciprocal_ranks, weighted


def order(scored) -> list[str]:
    return [one.chunk_id for one in scored]


def shares(scores: dict[str, float], temperature: float) -> dict[str, float]:
    """Softmax over the scores stretched to 0 to 1, the slow way."""
    low, high = min(scores.values()), max(scores.values())
    powers = {one: exp((score - low) / (high - low) / temperature) for one, score in scores.items()}
    return {one: power / sum(powers.values()) for one, power in powers.items()}


def test_each_leg_gives_shares_of_its_softmax() -> None:
    dense, lexical = {"a": 0.8, "b": 0.4, "c": 0.5}, {"a": 5.0, "b": 10.0, "c": 0.0}

    fused = weighted(dense, lexical, dense_weight=0.65)

    by_meaning, by_words = shares(dense, 0.25), shares(lexical, 0.3)
    most = 0.65 * by_meaning["a"] + 0.35 * by_words["b"]
    assert order(fused) == ["a", "b", "c"]
    for one in fused:
        expected = 0.65 * by_meaning[one.chunk_id] + 0.35 * by_words[one.chunk_id]
        assert one.score == pytest.approx(expected / most)


def test_the_best_of_both_legs_scores_one() -> None:
    (first, *others) = weighted({"a": 0.8, "b": 0.4}, {"a": 9.0, "b": 3.0}, dense_weight=0.4)

    assert (first.chunk_id, first.score) == ("a", pytest.approx(1.0))
    assert all(0.0 < one.score < 1.0 for one in others)


def test_a_leg_that_sets_one_chunk_apart_outvotes_one_that_finds_all_alike() -> None:
    names = [f"{number:02}" for number in range(60)]
    alike = {name: 0.5 + 0.1 * number / 60 for number, name in enumerate(names)}  # 59 is closest
    apart = dict.fromkeys(names, 2.0) | {"07": 20.0}

    assert order(weighted(alike, apart, dense_weight=0.7))[0] == "07"
    assert order(weighted(apart, alike, dense_weight=0.3))[0] == "07"


@pytest.mark.parametrize(("factor", "offset"), [(0.2, 0.75), (3.0, -0.4)])
def test_scale_and_offset_of_a_models_cosines_change_nothing(factor: float, offset: float) -> None:
    draw = random.Random(3)
    dense = {f"{number}": draw.uniform(0.1, 0.8) for number in range(40)}
    lexical = {one: draw.choice([0.0, draw.uniform(1.0, 20.0)]) for one in dense}
    other = {one: offset + factor * score for one, score in dense.items()}

    here = weighted(dense, lexical, dense_weight=0.6)
    there = weighted(other, lexical, dense_weight=0.6)
    assert order(there) == order(here)
    assert [one.score for one in there] == pytest.approx([one.score for one in here])


def test_a_chunk_that_one_leg_does_not_know_gets_nothing_from_it() -> None:
    fused = weighted({"a": 0.5}, {"b": 7.0}, dense_weight=0.4)

    assert [(one.chunk_id, one.score) for one in fused] == [
        ("b", pytest.approx(0.6)),
        ("a", pytest.approx(0.4)),
    ]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_leg_without_scores_leaves_the_order_to_the_other(sign: float) -> None:
    draw = random.Random(1)
    dense = {f"{number}": sign * draw.uniform(0.01, 0.9) for number in range(50)}
    by_dense = sorted(dense, key=lambda one: -dense[one])

    assert order(weighted(dense, dict.fromkeys(dense, 0.0), dense_weight=0.5)) == by_dense
    assert order(weighted(dense, {}, dense_weight=0.5)) == by_dense
    lexical = {one: abs(score) for one, score in dense.items()}
    by_lexical = sorted(lexical, key=lambda one: -lexical[one])
    assert order(weighted({}, lexical, dense_weight=0.5)) == by_lexical
    assert order(weighted(dict.fromkeys(dense, 0.0), lexical, dense_weight=0.5)) == by_lexical


@pytest.mark.parametrize(("weight", "first"), [(1.0, "dense"), (0.0, "lexical")])
def test_the_weight_goes_all_the_way(weight: float, first: str) -> None:
    fused = weighted(
        {"dense": 0.9, "lexical": 0.1}, {"dense": 1.0, "lexical": 9.0}, dense_weight=weight
    )
    assert order(fused)[0] == first
    assert fused[0].score == pytest.approx(1.0)


def test_scores_of_any_size_are_taken() -> None:
    fused = weighted({"a": 1e300, "b": -1e300}, {"a": 0.0, "b": 1e-300}, dense_weight=0.6)
    assert order(fused) == ["a", "b"]


def test_short_passages_are_for_the_meaning_and_long_ones_for_the_words() -> None:
    weights = [automatic_weight([length] * 5) for length in (1, 50, 100, 400, 1200, 4800, 10**9)]

    assert weights == sorted(weights, reverse=True)
    assert all(0.0 < weight < 1.0 for weight in weights)
    assert weights[4] == pytest.approx(0.5)
    assert automatic_weight([100]) == pytest.approx(1 / (1 + 100 / 1200))
    assert f"{automatic_weight([100]):.2f} {automatic_weight([1200]):.2f}" == "0.92 0.50"


def test_the_weight_goes_by_the_geometric_mean_of_the_lengths() -> None:
    assert automatic_weight([200, 800]) == pytest.approx(automatic_weight([400]))
    assert automatic_weight([0]) == automatic_weight([1])
    assert automatic_weight([]) == 0.5


def test_the_first_twenty_of_each_leg_decide() -> None:
    dense = [f"d{number}" for number in range(30)]
    lexical = ["d0", "w0"]

    assert deciding_chunks(dense, lexical) == [*dense[:20], "d0", "w0"]
    assert deciding_chunks({}, lexical) == lexical


def test_equal_scores_are_in_the_order_of_ids_whatever_the_input_order() -> None:
    scores = {"c": 0.5, "a": 0.5, "b": 0.5}
    assert order(weighted(scores, {}, dense_weight=0.5)) == ["a", "b", "c"]
    assert order(reciprocal_ranks(["b", "a"], ["a", "b"])) == ["a", "b"]


def test_reciprocal_ranks_add_up_over_the_lists() -> None:
    fused = reciprocal_ranks(["a", "b", "c"], ["c", "d"], k=60)

    assert [(one.chunk_id, one.score) for one in fused] == [
        ("c", pytest.approx(1 / 63 + 1 / 61)),
        ("a", pytest.approx(1 / 61)),
        ("b", pytest.approx(1 / 62)),
        ("d", pytest.approx(1 / 62)),
    ]
    assert order(reciprocal_ranks(["a", "b"], [])) == ["a", "b"]


def test_nothing_fused_is_nothing() -> None:
    assert weighted({}, {}, dense_weight=0.5) == []
    assert reciprocal_ranks([], []) == []
