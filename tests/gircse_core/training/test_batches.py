from __future__ import annotations

from collections import Counter

import pytest
import torch

from gircse_core.errors import TrainingInputError
from gircse_core.training.batches import BatchPlan, duplicate_mask
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.pairs import Pair, PairSet


def _pairs(**sizes):
    return PairSet(
        {
            name: [
                Pair(f"{name} {line}", f"answer {line} in {name}", (f"no {line}", f"nor {line}"))
                for line in range(size)
            ]
            for name, size in sizes.items()
        },
        (),
    )


def _plan(pairs, *, batches=200, **choices):
    values = {"batch_size": 8, "block_size": 4, "hard_negatives": 0} | choices
    return BatchPlan(pairs, TrainingConfig(**values).resolved("prefix_encoder"), batches=batches)


def _lines(batch):
    return [int(query.split()[1]) for query in batch.queries]


def test_a_batch_is_of_one_source_and_made_of_blocks():
    plan = _plan(_pairs(big=100, small=20))
    for number in range(50):
        batch = plan.batch(number)
        size = 100 if batch.source == "big" else 20
        assert len(batch.queries) == len(batch.passages) == 8
        assert {query.split()[0] for query in batch.queries} == {batch.source}
        lines = _lines(batch)
        assert len(set(lines)) == 8
        for block in (lines[:4], lines[4:]):
            assert block == [(block[0] + place) % size for place in range(4)]


def test_a_batch_depends_on_seed_and_number_alone():
    pairs = _pairs(one=60, two=60)
    whole, late = _plan(pairs, hard_negatives=1), _plan(pairs, hard_negatives=1)
    for number in range(30):
        whole.batch(number)
    assert whole.batch(30) is not late.batch(30)
    for number in (30, 7):
        first, second = whole.batch(number), late.batch(number)
        assert (first.queries, first.passages) == (second.queries, second.passages)
    longer = _plan(pairs, batches=500, hard_negatives=1)
    assert longer.batch(30).queries == whole.batch(30).queries
    other = _plan(pairs, seed=1)
    assert [other.batch(n).queries for n in range(5)] != [whole.batch(n).queries for n in range(5)]


def test_a_source_is_gone_through_before_it_is_gone_through_again():
    plan = _plan(_pairs(only=64))
    for lap in range(3):
        seen = Counter(line for turn in range(8) for line in _lines(plan.batch(lap * 8 + turn)))
        assert seen == dict.fromkeys(range(64), 1)
    assert plan.batch(0).queries != plan.batch(8).queries


def test_how_often_sources_are_drawn():
    pairs = _pairs(big=800, small=50)
    assert _plan(pairs, source_exponent=1.0).shares["big"] == pytest.approx(16 / 17)
    assert _plan(pairs, source_exponent=0.0).shares["big"] == pytest.approx(1 / 2)
    capped = _plan(pairs, source_exponent=1.0, source_cap=100)
    assert capped.shares["big"] == pytest.approx(2 / 3)
    weighed = _plan(pairs, source_exponent=0.0, source_weights=(("small", 3.0),))
    assert weighed.shares["small"] == pytest.approx(3 / 4)
    drawn = Counter(weighed.batch(number).source for number in range(200))
    assert 120 < drawn["small"] < 180
    off = _plan(pairs, source_weights=(("big", 0.0),))
    assert {off.batch(number).source for number in range(20)} == {"small"}


def test_hard_negatives_come_after_the_positives():
    batch = _plan(_pairs(only=20), hard_negatives=1).batch(0)
    assert len(batch.passages) == 16
    for query, negative in zip(_lines(batch), batch.passages[8:], strict=True):
        assert negative in {f"no {query}", f"nor {query}"}
    assert len(_plan(_pairs(only=20), hard_negatives=5).batch(0).passages) == 24


def test_a_source_as_large_as_a_batch_is_a_batch():
    plan = _plan(_pairs(only=9), batch_size=9, block_size=4)
    assert all(sorted(_lines(plan.batch(number))) == list(range(9)) for number in range(3))


def test_sources_that_cannot_be_used():
    with pytest.raises(TrainingInputError, match=r"batch of 8: \{'tiny': 3\}.*at most 3"):
        _plan(_pairs(big=20, tiny=3))
    with pytest.raises(TrainingInputError, match=r"no sources \['hug'\] to weigh"):
        _plan(_pairs(big=20), source_weights=(("hug", 2.0),))
    with pytest.raises(TrainingInputError, match="weight 0"):
        _plan(_pairs(big=20), source_weights=(("big", 0.0),))


def test_equal_texts_are_no_negatives_of_each_other():
    queries = ["how tall", "How  tall", "how far", "how old"]
    passages = ["ten feet", "three metres", "a mile", "ten feet", "three metres", "a mile away"]
    expected = torch.tensor(
        [
            # An answer to an equal query, the same text, and a hard negative that is an answer.
            [1, 1, 0, 1, 1, 0],
            [1, 1, 0, 1, 1, 0],
            [0, 0, 1, 0, 0, 0],
            [1, 0, 0, 1, 0, 0],
        ],
        dtype=torch.bool,
    )
    assert torch.equal(duplicate_mask(queries, passages), expected)
