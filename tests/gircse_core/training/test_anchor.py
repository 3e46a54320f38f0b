from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from gircse_core.errors import TrainingInputError
from gircse_core.training.anchor import Anchor, anchor_loss, progress_shares
from gircse_core.training.teacher import TokenStatistics
from tests.gircse_core.models import TEXTS
from tests.gircse_core.training.test_trainees import _trainee

# Tokens 1 and 2 open and close a text, 3 is everywhere, 4 in one text of four.
ROWS = [[1, 3, 4, 2], [1, 3, 5, 2], [1, 3, 5, 2], [1, 3, 5, 2]]
STATISTICS = TokenStatistics.count(ROWS, vocabulary_size=6, ignored=frozenset({1, 2}))
WORDS = torch.eye(6)
CENTRE = torch.zeros(6)


def _vectors(rare: float, lexical: float, states: torch.Tensor) -> torch.Tensor:
    anchor = Anchor(STATISTICS, WORDS, CENTRE, rare=rare, lexical=lexical)
    return anchor.vectors(torch.tensor([ROWS[0]]), torch.ones(1, 4, dtype=torch.int64), states)


def test_without_weights_it_is_the_pooled_vector_less_the_centre():
    states = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = functional.normalize(states.mean(dim=1), dim=-1)
    torch.testing.assert_close(_vectors(0.0, 0.0, states), expected)
    centre = torch.full((6,), 0.1)
    anchor = Anchor(STATISTICS, WORDS, centre, rare=0.0, lexical=0.0)
    moved = anchor.vectors(torch.tensor([ROWS[0]]), torch.ones(1, 4, dtype=torch.int64), states)
    torch.testing.assert_close(moved, functional.normalize(expected - centre, dim=-1))


def test_rare_tokens_count_more_than_common_ones_and_special_ones_not_at_all():
    states = torch.eye(4, 6)[None]  # one direction for each position
    moved = _vectors(1000.0, 0.0, states)[0]
    rare, common = math.log(1 + 3.5 / 1.5), math.log(1 + 0.5 / 4.5)
    assert (moved[2] / moved[1]).item() == pytest.approx((rare + 1e-3) / (common + 1e-3), rel=1e-2)
    assert moved[0] < moved[1] / 50


def test_the_lexical_part_is_near_the_words_of_the_text():
    moved = _vectors(0.0, 1000.0, torch.ones(1, 4, 6))[0]
    assert moved.argmax() == 4
    assert moved[5] < 0 < moved[4]


def test_padding_changes_nothing():
    states = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(1))
    padded = torch.cat([states, torch.full((1, 2, 6), 9.0)], dim=1)
    anchor = Anchor(STATISTICS, WORDS, CENTRE, rare=0.5, lexical=0.5)
    ids = torch.tensor([[*ROWS[0], 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 0, 0]])
    torch.testing.assert_close(anchor.vectors(ids, mask, padded), _vectors(0.5, 0.5, states))


def test_each_step_is_to_go_its_share_of_the_way():
    shares = progress_shares(0.5, steps=4, full=3)
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.75, 0.875, 0.9375]) / 0.875)
    assert progress_shares(0.7, steps=2, full=8)[-1] < 1


def test_the_loss_is_zero_where_every_step_has_gone_its_share():
    start, anchor = torch.eye(2)[:1], torch.eye(2)[1:]
    shares = torch.tensor([0.25, 1.0])
    halfway = functional.normalize(torch.tensor([[0.75, 0.25]]), dim=-1)
    right = torch.stack([start, halfway, anchor])
    assert anchor_loss(right, anchor, shares).item() == pytest.approx(0, abs=1e-6)
    assert anchor_loss(torch.stack([start] * 3), anchor, shares).item() > 0.4


def test_only_a_sum_of_steps_can_be_anchored(checkpoints):
    encoder = checkpoints["prefix"].parent / "encoder"
    trainee = _trainee(encoder, anchor_weight=1.0)
    statistics = TokenStatistics.count(
        trainee.tokens(TEXTS),
        vocabulary_size=trainee.vocabulary_size,
        ignored=trainee.special_tokens,
    )
    with pytest.raises(TrainingInputError, match="residual_mean"):
        trainee.set_anchor(statistics, trainee.tokens(TEXTS), trainee._training)
    causal = _trainee(checkpoints["qwen2"], dropout=0.0, anchor_weight=1.0)
    with pytest.raises(TrainingInputError, match="no vector of its own"):
        causal.set_anchor(statistics, causal.tokens(TEXTS), causal._training)


def test_a_trainee_gives_embeddings_and_anchors_of_the_same_rows(checkpoints):
    encoder = checkpoints["prefix"].parent / "encoder"
    conventions = (("pooling", "residual_sum"), ("gate", 1.0), ("decay", 0.7))
    trainee = _trainee(encoder, conventions=conventions, readout="zero", forward_tokens=64)
    rows = trainee.tokens(TEXTS)
    statistics = TokenStatistics.count(
        rows, vocabulary_size=trainee.vocabulary_size, ignored=trainee.special_tokens
    )
    trainee.set_anchor(statistics, rows, trainee._training)
    embeddings, anchors = trainee.encode_anchored(rows, steps=3)
    torch.testing.assert_close(embeddings, trainee.encode(rows, steps=3))
    alone = torch.cat([trainee.encode_anchored([row], steps=1)[1] for row in rows])
    torch.testing.assert_close(anchors, alone, atol=1e-5, rtol=1e-4)
    shares = progress_shares(0.7, steps=3, full=8)
    anchor_loss(embeddings, anchors, shares).backward()
    assert trainee.tensors["readout"].grad.any()
