"""The arithmetic of joining two rankings."""

from __future__ import annotations

import random

import pytest

from indexer.fusion import DENSE_WEIGHT, reciprocal_ranks, weighted


def order(scored) -> list[str]:
    return [one.chunk_id for one in scored]


def test_each_leg_is_divided_by_its_best_score() -> None:
    fused = weighted({"a": 0.8, "b": 0.4}, {"a": 5.0, "b": 10.0}, dense_weight=0.65)

    assert order(fused) == ["a", "b"]
    assert fused[0].score == pytest.approx(0.65 * 1.0 + 0.35 * 0.5)
    assert fused[1].score == pytest.approx(0.65 * 0.5 + 0.35 * 1.0)
    assert DENSE_WEIGHT == 0.65


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

    assert order(weighted(dense, dict.fromkeys(dense, 0.0))) == by_dense
    assert order(weighted(dense, {})) == by_dense
    lexical = {one: abs(score) for one, score in dense.items()}
    by_lexical = sorted(lexical, key=lambda one: -lexical[one])
    assert order(weighted({}, lexical)) == by_lexical
    assert order(weighted(dict.fromkeys(dense, 0.0), lexical)) == by_lexical


def test_cosines_below_zero_give_a_leg_no_more_than_its_weight() -> None:
    lexical = {"words": 9.0, "neither": 0.0, "meaning": 0.0}
    for best in (1e-6, 0.0, -1e-6):
        fused = weighted({"words": -0.3, "neither": -0.4, "meaning": best}, lexical)

        assert order(fused) == ["meaning", "words", "neither"]
        assert fused[1].score == pytest.approx(0.35 - 0.65 * 0.3 / 0.4)
        assert all(abs(one.score) <= 1.0 for one in fused)


@pytest.mark.parametrize(("weight", "first"), [(1.0, "dense"), (0.0, "lexical")])
def test_the_weight_goes_all_the_way(weight: float, first: str) -> None:
    fused = weighted(
        {"dense": 0.9, "lexical": 0.1}, {"dense": 1.0, "lexical": 9.0}, dense_weight=weight
    )
    assert order(fused)[0] == first


def test_equal_scores_are_in_the_order_of_ids_whatever_the_input_order() -> None:
    scores = {"c": 0.5, "a": 0.5, "b": 0.5}
    assert order(weighted(scores, {})) == ["a", "b", "c"]
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
    assert weighted({}, {}) == []
    assert reciprocal_ranks([], []) == []
