"""The training objective, each term a function of its own.

Shapes: S steps (those trained on, in rising order), B queries, P passages, D width. Row i of the
passages is the positive of query i; rows beyond B are hard negatives. Embeddings are unit length.

Source: Tsai et al., ICLR 2026, arXiv:2509.24291, unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

__all__ = [
    "IcrLoss",
    "ObjectiveConfig",
    "cross_step_losses",
    "distillation_from_scores",
    "distillation_loss",
    "icr_loss",
    "info_nce",
    "refinement_regulariser",
    "stepwise_losses",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What is summed, and how much of it; the defaults are the published ones.

    Args:
        temperature: of the similarities in InfoNCE, above 0.
        regulariser_weight: lambda of the refinement regulariser.
        symmetric: whether passages are also asked for their queries.
        cross_step_weight: weight of pairs at different steps; 0 leaves them out.
        distillation_weight: weight of keeping the base encoder's similarities; 0 leaves it out.
        distillation_temperature: softens both sides of the distillation, above 0.
    """

    temperature: float = 0.02
    regulariser_weight: float = 1.0
    symmetric: bool = False
    cross_step_weight: float = 0.0
    distillation_weight: float = 0.0
    distillation_temperature: float = 0.05

    def __post_init__(self) -> None:
        for name in ("temperature", "distillation_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("regulariser_weight", "cross_step_weight", "distillation_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative")


@dataclass(frozen=True, slots=True)
class IcrLoss:
    """The loss of one batch and what it is made of.

    Args:
        total: scalar to minimise.
        steps: (S,) InfoNCE of each step, detached.
        regulariser: scalar, detached.
        cross_step: scalar, detached; 0 where switched off.
        distillation: scalar, detached; 0 where switched off.
    """

    total: torch.Tensor
    steps: torch.Tensor
    regulariser: torch.Tensor
    cross_step: torch.Tensor
    distillation: torch.Tensor


def info_nce(
    queries: torch.Tensor,
    passages: torch.Tensor,
    *,
    temperature: float,
    symmetric: bool = False,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean InfoNCE of each query's own passage against all passages of the batch.

    Args:
        queries: (B, D).
        passages: (P, D), P >= B.
        temperature: divides the cosines.
        symmetric: average with the loss of each positive asked for its query.
        mask: (B, P) bool, True for passages that are no negatives of a query (known duplicates);
            a query's own passage is never left out.

    Returns:
        Scalar. With B = P = 1 there is nothing to tell apart and it is 0.
    """
    logits = queries @ passages.T / temperature  # (B, P)
    if mask is not None:
        own = torch.eye(*logits.shape, dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(mask & ~own, float("-inf"))
    targets = torch.arange(len(queries), device=logits.device)
    loss = functional.cross_entropy(logits, targets)
    if not symmetric:
        return loss
    return (loss + functional.cross_entropy(logits[:, : len(queries)].T, targets)) / 2


def stepwise_losses(
    queries: torch.Tensor,
    passages: torch.Tensor,
    *,
    temperature: float,
    symmetric: bool = False,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the (S,) InfoNCE of each step, from (S, B, D) queries and (S, P, D) passages."""
    return torch.stack(
        [
            info_nce(query, passage, temperature=temperature, symmetric=symmetric, mask=mask)
            for query, passage in zip(queries, passages, strict=True)
        ]
    )


def refinement_regulariser(losses: torch.Tensor) -> torch.Tensor:
    """Return mean_k ReLU(log L_{k+1} - log L_k): a step may not be worse than the one before.

    Args:
        losses: (S,) positive losses in the order of the steps.

    Returns:
        Scalar; 0 for one step, where the mean would be over nothing.
    """
    if len(losses) < 2:
        return losses.new_zeros(())
    # A batch of one has a loss of 0, whose logarithm has no gradient.
    logs = losses.clamp(min=1e-8).log()
    return functional.relu(logs[1:] - logs[:-1]).mean()


def cross_step_losses(
    queries: torch.Tensor,
    passages: torch.Tensor,
    *,
    temperature: float,
    symmetric: bool = False,
    mask: torch.Tensor | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> torch.Tensor:
    """Return the mean InfoNCE over pairs of different steps.

    Beyond the paper: it lets a collection indexed at one step count be searched at another.

    Args:
        queries: (S, B, D).
        passages: (S, P, D).
        temperature: divides the cosines.
        symmetric: as for ``info_nce``.
        mask: as for ``info_nce``.
        pairs: (row of the queries' steps, row of the passages' steps); None for all that differ.

    Returns:
        Scalar; 0 for one step.
    """
    if pairs is None:
        count = len(queries)
        pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
    losses = [
        info_nce(queries[i], passages[j], temperature=temperature, symmetric=symmetric, mask=mask)
        for i, j in pairs
    ]
    return torch.stack(losses).mean() if losses else queries.new_zeros(())


def distillation_loss(
    queries: torch.Tensor,
    passages: torch.Tensor,
    base_queries: torch.Tensor,
    base_passages: torch.Tensor,
    *,
    temperature: float,
) -> torch.Tensor:
    """Return how far each step's ranking of the batch is from the base encoder's.

    Beyond the paper: Kullback-Leibler divergence from the base's softmax over the batch's passages
    to the model's, averaged over steps and queries; keeps what the base knew.

    Args:
        queries: (S, B, D).
        passages: (S, P, D).
        base_queries: (B, D).
        base_passages: (P, D).
        temperature: softens both distributions.
    """
    scores = base_queries @ base_passages.T  # (B, P)
    return distillation_from_scores(queries, passages, scores, temperature=temperature)


def distillation_from_scores(
    queries: torch.Tensor,
    passages: torch.Tensor,
    scores: torch.Tensor,
    *,
    temperature: float,
) -> torch.Tensor:
    """Return how far each step's ranking of the batch is from a teacher's.

    Beyond the paper: as ``distillation_loss``, with the scores of any teacher.

    Args:
        queries: (S, B, D).
        passages: (S, P, D).
        scores: (B, P) of the teacher, on the scale of cosines.
        temperature: softens both distributions.
    """
    teacher = (scores / temperature).log_softmax(dim=-1).detach()  # (B, P)
    own = (queries @ passages.transpose(1, 2) / temperature).log_softmax(dim=-1)  # (S, B, P)
    divergence = functional.kl_div(own, teacher.expand_as(own), reduction="none", log_target=True)
    return divergence.sum(dim=-1).mean()


def icr_loss(
    queries: torch.Tensor,
    passages: torch.Tensor,
    config: ObjectiveConfig,
    *,
    base: tuple[torch.Tensor, torch.Tensor] | None = None,
    mask: torch.Tensor | None = None,
    teacher: torch.Tensor | None = None,
) -> IcrLoss:
    """Return mean_k L_k + lambda * regulariser, plus the extensions that are switched on.

    Args:
        queries: (S, B, D).
        passages: (S, P, D).
        config: weights.
        base: the base encoder's (B, D) queries and (P, D) passages, for the distillation.
        mask: as for ``info_nce``.
        teacher: (B, P) scores to distil from instead of the base's similarities.
    """
    steps = stepwise_losses(
        queries,
        passages,
        temperature=config.temperature,
        symmetric=config.symmetric,
        mask=mask,
    )
    regulariser = refinement_regulariser(steps)
    cross_step = distillation = steps.new_zeros(())
    if config.cross_step_weight:
        cross_step = cross_step_losses(
            queries,
            passages,
            temperature=config.temperature,
            symmetric=config.symmetric,
            mask=mask,
        )
    if config.distillation_weight:
        if teacher is None:
            if base is None:
                raise ValueError("distillation needs the base encoder's embeddings or a teacher")
            teacher = base[0] @ base[1].T
        distillation = distillation_from_scores(
            queries, passages, teacher, temperature=config.distillation_temperature
        )
    total = (
        steps.mean()
        + config.regulariser_weight * regulariser
        + config.cross_step_weight * cross_step
        + config.distillation_weight * distillation
    )
    return IcrLoss(
        total, steps.detach(), regulariser.detach(), cross_step.detach(), distillation.detach()
    )
