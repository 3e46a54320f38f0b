from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from gircse_core.training.objective import (
    cross_step_losses,
    distillation_from_scores,
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


def test_distillation_is_zero_for_the_teacher_itself_and_positive_elsewhere():
    queries, passages = _unit(4, 8), _unit(6, 8, seed=1)
    scores = queries @ passages.T
    both = queries.expand(2, 4, 8), passages.expand(2, 6, 8)
    same = distillation_from_scores(*both, scores, temperature=1)
    assert same.item() == pytest.approx(0, abs=1e-12)
    others = _unit(2, 4, 8, seed=2), _unit(2, 6, 8, seed=3)
    assert distillation_from_scores(*others, scores, temperature=1).item() > 0


def test_distillation_is_what_the_formula_says():
    queries, passages, scores = _unit(2, 3, 8), _unit(2, 5, 8, seed=1), _unit(3, 5, seed=2)
    total = 0.0
    for k in range(2):
        for i in range(3):
            told = (scores[i] / 0.5).softmax(dim=0)
            own = (queries[k, i] @ passages[k].T / 0.5).softmax(dim=0)
            total += float((told * (told / own).log()).sum())
    found = distillation_from_scores(queries, passages, scores, temperature=0.5)
    assert found.item() == pytest.approx(total / 6)
