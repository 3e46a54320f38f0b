from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from gircse_core.training.objective import (
    ObjectiveConfig,
    cross_step_losses,
    distillation_loss,
    icr_loss,
    info_nce,
    refinement_regulariser,
    stepwise_losses,
)


def _unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(
        torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1
    )


def test_info_nce_is_what_the_formula_says():
    queries, passages = _unit(3, 8), _unit(5, 8, seed=1)
    total = 0.0
    for i in range(3):
        scores = [math.exp(float(queries[i] @ passages[j]) / 0.1) for j in range(5)]
        total -= math.log(scores[i] / sum(scores))
    assert info_nce(queries, passages, temperature=0.1).item() == pytest.approx(total / 3)


def test_symmetric_info_nce_asks_positives_for_their_queries_only():
    queries, passages = _unit(3, 8), _unit(5, 8, seed=1)
    forward = info_nce(queries, passages, temperature=0.1)
    backward = info_nce(passages[:3], queries, temperature=0.1)
    both = info_nce(queries, passages, temperature=0.1, symmetric=True)
    assert both.item() == pytest.approx((forward + backward).item() / 2)


def test_masked_passages_are_no_negatives_and_the_positive_always_counts():
    queries, passages = _unit(2, 8), _unit(3, 8, seed=1)
    everything = torch.ones(2, 3, dtype=torch.bool)
    assert info_nce(queries, passages, temperature=0.1, mask=everything).item() == 0
    third = torch.tensor([[False, False, True]] * 2)
    expected = info_nce(queries, passages[:2], temperature=0.1)
    assert info_nce(queries, passages, temperature=0.1, mask=third).item() == pytest.approx(
        expected.item()
    )


def test_a_batch_of_one_has_nothing_to_tell_apart_and_finite_gradients():
    queries, passages = _unit(2, 1, 8).requires_grad_(), _unit(2, 1, 8, seed=1)
    loss = icr_loss(queries, passages, ObjectiveConfig())
    assert loss.total.item() == 0
    loss.total.backward()
    assert torch.isfinite(queries.grad).all()


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0, 0.5, 0.25], 0.0),
        ([0.5, 1.0], math.log(2)),
        ([0.5, 1.0, 0.5], math.log(2) / 2),
        ([0.7], 0.0),
    ],
)
def test_the_regulariser_punishes_rising_losses_alone(losses, expected):
    assert refinement_regulariser(torch.tensor(losses)).item() == pytest.approx(expected)


def test_stepwise_and_cross_step_losses_cover_every_pair_of_steps():
    queries, passages = _unit(3, 4, 8), _unit(3, 6, 8, seed=1)
    table = torch.stack(
        [torch.stack([info_nce(q, p, temperature=0.1) for p in passages]) for q in queries]
    )
    torch.testing.assert_close(
        stepwise_losses(queries, passages, temperature=0.1), table.diagonal()
    )
    apart = table[~torch.eye(3, dtype=torch.bool)]
    torch.testing.assert_close(cross_step_losses(queries, passages, temperature=0.1), apart.mean())
    assert cross_step_losses(queries[:1], passages[:1], temperature=0.1).item() == 0


def test_distillation_is_zero_for_the_base_itself_and_positive_elsewhere():
    base = _unit(4, 8), _unit(6, 8, seed=1)
    same = distillation_loss(base[0].expand(2, 4, 8), base[1].expand(2, 6, 8), *base, temperature=1)
    assert same.item() == pytest.approx(0, abs=1e-12)
    other = distillation_loss(_unit(2, 4, 8, seed=2), _unit(2, 6, 8, seed=3), *base, temperature=1)
    assert other.item() > 0


def test_the_published_total_is_mean_plus_lambda_times_regulariser():
    queries, passages = _unit(4, 5, 8), _unit(4, 10, 8, seed=1)
    losses = stepwise_losses(queries, passages, temperature=0.02)
    expected = losses.mean() + 1.0 * refinement_regulariser(losses)
    loss = icr_loss(queries, passages, ObjectiveConfig())
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.steps, losses)
    assert loss.cross_step.item() == loss.distillation.item() == 0


def test_every_weight_is_read():
    queries, passages = _unit(3, 5, 8), _unit(3, 10, 8, seed=1)
    base = _unit(5, 8, seed=2), _unit(10, 8, seed=3)
    plain = icr_loss(queries, passages, ObjectiveConfig(), base=base).total
    for change in (
        {"temperature": 0.05},
        {"regulariser_weight": 3.0},
        {"symmetric": True},
        {"cross_step_weight": 0.5},
        {"distillation_weight": 0.5},
    ):
        changed = icr_loss(queries, passages, ObjectiveConfig(**change), base=base).total
        assert changed.item() != pytest.approx(plain.item()), change


def test_distillation_without_a_base_and_bad_weights_are_refused():
    with pytest.raises(ValueError, match="base encoder"):
        icr_loss(_unit(1, 2, 8), _unit(1, 2, 8), ObjectiveConfig(distillation_weight=1.0))
    with pytest.raises(ValueError, match="temperature is 0"):
        ObjectiveConfig(temperature=0)
    with pytest.raises(ValueError, match="cross_step_weight is -1"):
        ObjectiveConfig(cross_step_weight=-1)


def test_gradients_agree_with_finite_differences():
    queries = _unit(3, 3, 4).requires_grad_()
    passages = _unit(3, 5, 4, seed=1).requires_grad_()
    base = _unit(3, 4, seed=2), _unit(5, 4, seed=3)
    config = ObjectiveConfig(
        temperature=0.3,
        symmetric=True,
        cross_step_weight=0.5,
        distillation_weight=0.5,
        distillation_temperature=0.5,
    )
    assert torch.autograd.gradcheck(
        lambda q, p: icr_loss(q, p, config, base=base).total, (queries, passages)
    )
