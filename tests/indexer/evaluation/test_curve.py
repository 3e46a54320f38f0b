"""Quality against the dial, from searches whose outcome is known."""

from __future__ import annotations

import json

import pytest

from indexer.evaluation.curve import quality_curve
from indexer.evaluation.hybrid import Legs
from indexer.evaluation.tuning import JudgedLegs

QUERIES = 12


def judged(places: dict[int, int]) -> JudgedLegs:
    """Queries whose one answer stands at a place of the dense leg that the steps decide."""
    names = [f"d{number}" for number in range(20)]
    legs = {}
    for steps, place in places.items():
        order = names[1:]
        order.insert(place - 1, "d0")
        dense = {name: 1.0 - 0.01 * rank for rank, name in enumerate(order)}
        words = {name: 10.0 if name == "d0" else 0.0 for name in names}
        legs[steps] = [Legs("query", dense, words, [100] * 5) for _ in range(QUERIES)]
    return JudgedLegs(
        name="known",
        qrels={f"q{number}": {"d0": 1} for number in range(QUERIES)},
        legs=legs,
        rank_documents=lambda hits: [hit.chunk_id for hit in hits],
        latency_ms={steps: 10.0 + steps for steps in places},
    )


def test_figures_and_knee_of_each_way_of_searching() -> None:
    curve = quality_curve(judged({0: 15, 1: 4, 2: 2, 5: 2}), dense_weight=0.0)
    dense = {point.steps: point for point in curve.dense}
    assert dense[0].figures["mrr@10"].mean == 0.0
    assert dense[0].figures["recall@10"].mean == 0.0
    assert dense[0].figures["recall@100"].mean == 1.0
    assert dense[1].figures["mrr@10"].mean == pytest.approx(1 / 4)
    assert dense[2].figures["mrr@10"].change == pytest.approx(1 / 2)
    assert dense[5].latency_ms == 15.0
    assert dense[0].figures["ndcg@10"].interval is not None
    assert curve.knee("dense").steps == 2
    # by words alone, which is what this weight says, the answer is first at once
    assert curve.words["mrr@10"].mean == 1.0
    assert [point.figures["mrr@10"].mean for point in curve.hybrid] == [1.0] * 4
    assert curve.knee("hybrid").steps == 0
    assert (curve.queries, curve.name) == (QUERIES, "known")


def test_it_can_be_written_as_json() -> None:
    values = json.loads(
        json.dumps(quality_curve(judged({0: 3, 1: 1}), dense_weight=None).as_dict())
    )
    assert values["knee_steps"]["dense"] == 1
    assert values["dense"][1]["figures"]["mrr@10"]["mean"] == 1.0
