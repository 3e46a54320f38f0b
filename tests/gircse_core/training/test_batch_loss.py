from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gircse_core.training.batch_loss import batch_loss
from gircse_core.training.batches import Batch
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.objective import (
    cross_step_losses,
    distillation_from_scores,
    refinement_regulariser,
    stepwise_losses,
)


def _unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, generator=generator).double(), dim=-1)


BATCH = Batch(5, "it", ["a", "b", "c"], ["x", "y", "z", "no"], torch.zeros(3, 4, dtype=torch.bool))
EMBEDDINGS = _unit(4, 7, 8)  # steps 0 to 3, three queries and four passages
QUERIES, PASSAGES = EMBEDDINGS[:, :3], EMBEDDINGS[:, 3:]


def _config(**choices):
    values = {"temperature": 0.1, "regulariser_weight": 0.0} | choices
    return TrainingConfig(**values).resolved("causal")


def test_step_zero_is_reported_but_not_trained():
    loss = batch_loss(EMBEDDINGS, BATCH, _config(), has_zero=True)
    losses = stepwise_losses(QUERIES, PASSAGES, temperature=0.1)
    torch.testing.assert_close(loss.steps, losses)
    torch.testing.assert_close(loss.total, losses[1:].mean())
    every = batch_loss(EMBEDDINGS, BATCH, _config(), has_zero=False)
    torch.testing.assert_close(every.total, losses.mean())


@pytest.mark.parametrize("start", [False, True])
def test_step_zero_may_anchor_the_regulariser(start):
    config = _config(regulariser_weight=2.0, regularise_start=start)
    loss = batch_loss(EMBEDDINGS, BATCH, config, has_zero=True)
    expected = refinement_regulariser(loss.steps if start else loss.steps[1:])
    torch.testing.assert_close(loss.terms["regulariser"], expected)
    torch.testing.assert_close(loss.total, loss.steps[1:].mean() + 2 * expected)


def test_cross_step_pairs_are_drawn_by_the_batchs_number():
    chosen = {"cross_step_weight": 0.5}
    every = batch_loss(EMBEDDINGS, BATCH, _config(**chosen), has_zero=True).terms["cross_step"]
    expected = cross_step_losses(QUERIES[1:], PASSAGES[1:], temperature=0.1)
    torch.testing.assert_close(every, expected)
    zero = _config(**chosen, cross_step_zero=True)
    torch.testing.assert_close(
        batch_loss(EMBEDDINGS, BATCH, zero, has_zero=True).terms["cross_step"],
        cross_step_losses(QUERIES, PASSAGES, temperature=0.1),
    )
    some = _config(**chosen, cross_step_pairs=2)
    drawn = [batch_loss(EMBEDDINGS, BATCH, some, has_zero=True).total for _ in range(2)]
    assert drawn[0] == drawn[1]
    others = {
        batch_loss(
            EMBEDDINGS, Batch(number, "it", *(BATCH.queries, BATCH.passages, BATCH.mask)),
            some, has_zero=True,
        ).total.item()
        for number in range(8)
    }  # fmt: skip
    assert len(others) > 2


def test_a_teachers_scores_are_distilled_into_every_trained_step():
    scores = QUERIES[0] @ PASSAGES[0].T
    config = _config(distillation_weight=0.7, distillation_temperature=0.2)
    loss = batch_loss(EMBEDDINGS, BATCH, config, has_zero=True, teacher=scores)
    expected = distillation_from_scores(QUERIES[1:], PASSAGES[1:], scores, temperature=0.2)
    torch.testing.assert_close(loss.terms["distillation"], expected)
    torch.testing.assert_close(loss.total, loss.steps[1:].mean() + 0.7 * expected)


def test_the_published_total_is_mean_plus_lambda_times_regulariser():
    published = TrainingConfig().resolved("causal")
    losses = stepwise_losses(QUERIES, PASSAGES, temperature=0.02)
    expected = losses.mean() + 1.0 * refinement_regulariser(losses)
    loss = batch_loss(EMBEDDINGS, BATCH, published, has_zero=False)
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.steps, losses)
    assert set(loss.terms) == {"regulariser"}
    assert loss.terms["regulariser"] > 0


def test_every_weight_is_read():
    changes = (
        {},
        {"temperature": 0.05},
        {"regulariser_weight": 3.0},
        {"symmetric": True},
        {"cross_step_weight": 0.5},
        {"distillation_weight": 0.5},
        {"distillation_weight": 0.5, "distillation_temperature": 0.5},
    )
    totals = set()
    for change in changes:
        config = _config(**({"regulariser_weight": 1.0} | change))
        loss = batch_loss(EMBEDDINGS, BATCH, config, has_zero=True, teacher=_unit(3, 4, seed=2))
        totals.add(round(loss.total.item(), 6))
    assert len(totals) == len(changes)


def test_known_duplicates_are_no_negatives():
    mask = torch.tensor([[False, False, False, True]] * 3)
    batch = Batch(5, "it", BATCH.queries, BATCH.passages, mask)
    loss = batch_loss(EMBEDDINGS, batch, _config(), has_zero=True)
    without = stepwise_losses(QUERIES, PASSAGES[:, :3], temperature=0.1)
    torch.testing.assert_close(loss.steps, without)


def test_a_batch_of_one_has_nothing_to_tell_apart_and_finite_gradients():
    embeddings = _unit(2, 2, 8).requires_grad_()
    one = Batch(0, "it", ["a"], ["x"], torch.zeros(1, 1, dtype=torch.bool))
    loss = batch_loss(embeddings, one, _config(regulariser_weight=1.0), has_zero=False)
    assert loss.total.item() == 0
    loss.total.backward()
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("has_zero", [False, True])
def test_gradients_agree_with_finite_differences(has_zero):
    embeddings = _unit(3, 8, 4, seed=2).requires_grad_()
    mask = torch.zeros(3, 5, dtype=torch.bool)
    mask[0, 4] = True
    batch = Batch(0, "it", ["a", "b", "c"], ["x", "y", "z", "no", "never"], mask)
    scores = _unit(3, 5, seed=2)
    config = _config(
        temperature=0.3,
        regulariser_weight=1.0,
        regularise_start=True,
        symmetric=True,
        cross_step_weight=0.5,
        distillation_weight=0.5,
        distillation_temperature=0.5,
    )

    def loss(given):
        return batch_loss(given, batch, config, has_zero=has_zero, teacher=scores)

    assert loss(embeddings).terms["regulariser"] > 0  # else its gradient would not be looked at
    assert torch.autograd.gradcheck(lambda given: loss(given).total, (embeddings,))
