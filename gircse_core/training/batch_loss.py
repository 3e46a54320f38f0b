"""The objective applied to one batch, as a run's configuration wants it.

Puts step 0 in its place: where a backbone defines it, it is reported and may anchor the
regulariser, the cross-step pairs and the distillation, but it is not trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch

from gircse_core.training.batches import Batch
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.objective import (
    cross_step_losses,
    distillation_from_scores,
    refinement_regulariser,
    stepwise_losses,
)

__all__ = ["BatchLoss", "batch_loss"]

_PAIRS = 4  # the stream of random numbers that draws pairs of steps; see batches


@dataclass(frozen=True, slots=True)
class BatchLoss:
    """The loss of one batch.

    Args:
        total: scalar to minimise, with its graph.
        steps: (S,) InfoNCE of each step, step 0 included where it exists, detached.
        terms: further terms by name, unweighted, detached scalars.
    """

    total: torch.Tensor
    steps: torch.Tensor
    terms: dict[str, torch.Tensor]

    def with_anchor(self, anchor: torch.Tensor, *, weight: float) -> BatchLoss:
        """Return it with a further scalar term, which may carry a graph."""
        terms = self.terms | {"anchor": anchor.detach()}
        return BatchLoss(self.total + weight * anchor, self.steps, terms)


def batch_loss(
    embeddings: torch.Tensor,
    batch: Batch,
    config: TrainingConfig,
    *,
    has_zero: bool,
    teacher: torch.Tensor | None = None,
) -> BatchLoss:
    """Return the loss of one batch.

    Args:
        embeddings: (S, B + P, D) of queries and then passages.
        batch: their texts and duplicates.
        config: resolved.
        has_zero: whether the first of the S steps is step 0.
        teacher: (B, P) scores, where there is distillation.
    """
    assert config.temperature is not None  # resolved
    temperature, symmetric = config.temperature, bool(config.symmetric)
    count = len(batch.queries)
    queries, passages = embeddings[:, :count], embeddings[:, count:]
    mask = batch.mask.to(embeddings.device)
    first = 1 if has_zero else 0  # row of step 1
    losses = stepwise_losses(
        queries, passages, temperature=temperature, symmetric=symmetric, mask=mask
    )  # (S,)
    anchored = losses if config.regularise_start else losses[first:]
    terms = {"regulariser": refinement_regulariser(anchored)}
    total = losses[first:].mean() + config.regulariser_weight * terms["regulariser"]
    if config.cross_step_weight:
        pairs = _step_pairs(len(losses), 0 if config.cross_step_zero else first, batch, config)
        terms["cross_step"] = cross_step_losses(
            queries,
            passages,
            temperature=temperature,
            symmetric=symmetric,
            mask=mask,
            pairs=pairs,
        )
        total = total + config.cross_step_weight * terms["cross_step"]
    if config.distillation_weight:
        assert teacher is not None  # the caller has one where it is asked for
        terms["distillation"] = distillation_from_scores(
            queries[first:], passages[first:], teacher, temperature=config.distillation_temperature
        )
        total = total + config.distillation_weight * terms["distillation"]
    return BatchLoss(total, losses.detach(), {name: term.detach() for name, term in terms.items()})


def _step_pairs(
    rows: int, first: int, batch: Batch, config: TrainingConfig
) -> list[tuple[int, int]]:
    """Return rows of different steps: all of them, or as many as an update draws."""
    pairs = list(permutations(range(first, rows), 2))
    if not 0 < config.cross_step_pairs < len(pairs):
        return pairs
    random = np.random.default_rng([config.seed, _PAIRS, batch.number])
    return [pairs[index] for index in random.permutation(len(pairs))[: config.cross_step_pairs]]
