"""The training objective, each term a function of its own.

Shapes: S steps (those trained on, in rising order), B queries, P passages, D width. Row i of the
passages is the positive of query i; rows beyond B are hard negatives. Embeddings are unit length.

Source: Tsai et al., ICLR 2026, arXiv:2509.24291, unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

__all__ = [
    "cross_step_losses",
    "distillation_from_scores",
    "info_nce",
    "refinement_regulariser",
    "stepwise_losses",
]


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


def distillation_from_scores(
    queries: torch.Tensor,
    passages: torch.Tensor,
    scores: torch.Tensor,
    *,
    temperature: float,
) -> torch.Tensor:
    """Return how far each step's ranking of the batch is from a teacher's.

    Beyond the paper: Kullback-Leibler divergence from the teacher's softmax over the batch's
    passages to the model's, averaged over steps and queries; keeps what the teacher knew.

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
