from __future__ import annotations

import math

import pytest

from indexer.evaluation.metrics import METRICS, score_rankings


def _only(qrels, ranking):
    scores = score_rankings({"q": qrels}, {"q": ranking})
    return {metric: float(scores.values[metric][0]) for metric in METRICS}


def test_graded_gains_are_discounted_by_the_logarithm_of_the_place():
    found = _only({"a": 1, "b": 2, "c": 0}, ["c", "a", "b"])
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert found["ndcg@10"] == pytest.approx((1 / math.log2(3) + 2 / math.log2(4)) / ideal)
    assert found["mrr@10"] == pytest.approx(1 / 2)
    assert found["recall@100"] == 1.0


def test_each_metric_stops_at_its_own_depth():
    others = [f"x{number:03}" for number in range(200)]
    assert _only({"a": 1}, [*others[:9], "a"])["mrr@10"] == pytest.approx(1 / 10)
    eleventh = _only({"a": 1}, [*others[:10], "a"])
    assert (eleventh["ndcg@10"], eleventh["mrr@10"], eleventh["recall@100"]) == (0.0, 0.0, 1.0)
    assert _only({"a": 1, "b": 1}, [*others[:99], "a", "b"])["recall@100"] == 0.5


def test_the_order_given_counts_whatever_the_ids():
    assert _only({"z": 1}, ["a", "z"])["mrr@10"] == 0.5
    assert _only({"a": 1}, ["z", "a"])["mrr@10"] == 0.5


def test_queries_without_a_result_score_zero_and_stay_in_their_place():
    qrels = {"one": {"a": 1}, "two": {"a": 1}, "three": {"a": 1}}
    scores = score_rankings(qrels, {"three": ["a"], "two": []})
    assert scores.query_ids == ("one", "two", "three")
    assert scores.values["ndcg@10"].tolist() == [0.0, 0.0, 1.0]
    assert scores.mean("ndcg@10") == pytest.approx(1 / 3)


def test_nothing_found_at_all():
    scores = score_rankings({"one": {"a": 1}}, {})
    assert [scores.mean(metric) for metric in METRICS] == [0.0, 0.0, 0.0]
