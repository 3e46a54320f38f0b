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
    return _of_row(anchor, states)


def _of_row(anchor: Anchor, states: torch.Tensor, *, are_queries: bool = False) -> torch.Tensor:
    mask = torch.ones(1, 4, dtype=torch.int64)
    return anchor.vectors(torch.tensor([ROWS[0]]), mask, states, are_queries=are_queries)


def test_without_weights_it_is_the_pooled_vector_less_the_centre():
    states = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = functional.normalize(states.mean(dim=1), dim=-1)
    torch.testing.assert_close(_vectors(0.0, 0.0, states), expected)
    centre = torch.full((6,), 0.1)
    anchor = Anchor(STATISTICS, WORDS, centre, rare=0.0, lexical=0.0)
    moved = _of_row(anchor, states)
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
    both = anchor.vectors(ids, mask, padded, are_queries=False)
    torch.testing.assert_close(both, _vectors(0.5, 0.5, states))


def test_short_documents_are_moved_in_proportion_to_their_length_and_queries_in_full():
    states = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(2))
    long = Anchor(STATISTICS, WORDS, CENTRE, rare=0.5, lexical=0.5, full_length=8)
    half = Anchor(STATISTICS, WORDS, CENTRE, rare=0.25, lexical=0.25)  # of 4 tokens
    torch.testing.assert_close(_of_row(long, states), _of_row(half, states))
    whole = _vectors(0.5, 0.5, states)
    torch.testing.assert_close(_of_row(long, states, are_queries=True), whole)
    short = Anchor(STATISTICS, WORDS, CENTRE, rare=0.5, lexical=0.5, full_length=3)
    torch.testing.assert_close(_of_row(short, states), whole)


def test_whitening_shrinks_what_texts_vary_in_much():
    generator = torch.Generator().manual_seed(4)
    spread = torch.randn(400, 6, generator=generator) * torch.tensor([9.0, 1, 1, 1, 1, 1])
    states = torch.ones(1, 4, 6)
    plain = _vectors(0.0, 0.0, states)[0]

    def whitened(strength: float, sample: torch.Tensor) -> torch.Tensor:
        anchor = Anchor(STATISTICS, WORDS, CENTRE, rare=0.0, lexical=0.0)
        anchor.whiten(sample, strength=strength)
        return _of_row(anchor, states)[0]

    torch.testing.assert_close(whitened(0.0, spread), plain)
    some, most = whitened(0.3, spread), whitened(1.0, spread)
    assert most[0] < some[0] < plain[0]
    assert (most[0] / most[1]).item() == pytest.approx(1 / 9, rel=0.2)
    # A few texts are trusted less: the same spread moves the vector less.
    assert whitened(1.0, spread[:8])[0] > 2 * most[0]


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
    embeddings, anchors = trainee.encode_anchored(rows, steps=3, queries=1)
    torch.testing.assert_close(embeddings, trainee.encode(rows, steps=3))
    alone = torch.cat([trainee.encode_anchored([row], steps=1)[1] for row in rows])
    torch.testing.assert_close(anchors, alone, atol=1e-5, rtol=1e-4)
    shares = progress_shares(0.7, steps=3, full=8)
    anchor_loss(embeddings, anchors, shares).backward()
    assert trainee.tensors["readout"].grad.any()


def test_the_configuration_reaches_the_anchors(checkpoints):
    encoder = checkpoints["prefix"].parent / "encoder"
    conventions = (("pooling", "residual_sum"), ("gate", 1.0), ("decay", 0.7))

    def anchors(queries: int, **chosen) -> torch.Tensor:
        trainee = _trainee(encoder, conventions=conventions, **chosen)
        rows = trainee.tokens(TEXTS)
        statistics = TokenStatistics.count(
            rows, vocabulary_size=trainee.vocabulary_size, ignored=trainee.special_tokens
        )
        trainee.set_anchor(statistics, rows, trainee._training)
        return trainee.encode_anchored(rows, steps=1, queries=queries)[1]

    plain, every = anchors(0), len(TEXTS)
    assert not torch.allclose(anchors(0, anchor_whitening=0.5), plain, atol=1e-3)
    assert not torch.allclose(anchors(0, anchor_length=1000), plain, atol=1e-3)
    torch.testing.assert_close(anchors(every, anchor_length=1000), plain)
