"""Where refinement is to take a text's vector when nothing else is known about it.

A mean over all tokens weighs a stop word like a name. The anchor is the encoder's own vector moved
towards what tells its text apart: the mean of the last layer's states weighted by the rarity of
their tokens, the mean of the rare tokens' input embeddings (which keeps exact words), and away from
the direction that all texts share. It needs no labels and knows no domain. What dilutes a mean is
length, so a document may be moved in proportion to its own; and directions in which all texts vary
much say less of each of them, so they may be shrunk (partial whitening). Step k is to have gone
the share of the way that its weight in ``residual_sum`` allows, so every step has work left to do;
the contrastive loss then decides what deviates from it.

Beyond the paper. Close to it: weighting by rarity in Arora et al., "A Simple but Tough-to-Beat
Baseline for Sentence Embeddings", ICLR 2017; whitening in Su et al., arXiv:2103.15316.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from gircse_core.training.teacher import TokenStatistics

__all__ = ["Anchor", "anchor_loss", "progress_shares"]

# Stop words keep a little weight: a text may hold nothing else.
_LEAST_WEIGHT = 1e-3


class Anchor:
    """Vectors to refine towards.

    Args:
        statistics: of the training texts.
        words: (V, H) input embeddings.
        centre: (H,) mean unit vector of the training texts.
        rare: weight of the states' mean by rarity, relative to the encoder's own vector.
        lexical: weight of the mean input embedding by rarity.
        full_length: tokens from which on a document is moved by both weights in full, a shorter one
            in proportion; 0 moves all alike. Queries, which are short and all names, always are.
    """

    def __init__(
        self,
        statistics: TokenStatistics,
        words: torch.Tensor,
        centre: torch.Tensor,
        *,
        rare: float,
        lexical: float,
        full_length: int = 0,
    ) -> None:
        rarity = statistics.word_rarity()
        self._rarity = rarity.to(words.device)  # (V,)
        table = words.float()
        shared = (self._rarity @ table) / self._rarity.sum()  # (H,)
        self._table = functional.normalize(table - shared, dim=-1)  # (V, H)
        self._centre = centre.float().to(words.device)
        self._rare = rare
        self._lexical = lexical
        self._full_length = full_length
        self._whitening: torch.Tensor | None = None  # (H, H)

    def whiten(self, vectors: torch.Tensor, *, strength: float) -> None:
        """Shrink, from now on, the directions in which texts vary more than in others.

        Args:
            vectors: (N, H) what ``vectors`` gives for a sample of documents.
            strength: 0 changes nothing, 1 makes all directions vary alike.
        """
        count, width = vectors.shape
        covariance = torch.cov(vectors.double().T)  # (H, H)
        # Few texts show less variance than there is in most directions: pull it to the mean.
        doubt = width / (count + width)
        level = covariance.diagonal().mean() * torch.eye(width, device=covariance.device).double()
        values, directions = torch.linalg.eigh((1 - doubt) * covariance + doubt * level)
        scales = values.clamp(min=values.max() * 1e-3) ** (-strength / 2)
        self._whitening = ((directions * scales) @ directions.T).float()

    def vectors(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        states: torch.Tensor,
        *,
        are_queries: bool,
    ) -> torch.Tensor:
        """Return (B, H) unit vectors.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T) int64.
            states: (B, T, H) of the prompt's last layer.
            are_queries: whether the texts are queries, not documents.
        """
        mask = attention_mask.float()[..., None]  # (B, T, 1)
        rarity = self._rarity[input_ids][..., None] * mask
        states = states.float()
        own = _unit_mean(states, mask)
        rare = _unit_mean(states, rarity + _LEAST_WEIGHT * mask)
        lexical = torch.stack(
            [
                self._lexical_mean(row[row_mask.bool()])
                for row, row_mask in zip(input_ids, attention_mask, strict=True)
            ]
        )
        move = self._rare * (rare - self._centre)
        move = move + self._lexical * functional.normalize(lexical, dim=-1)
        if self._full_length and not are_queries:
            lengths = mask.sum(dim=1)  # (B, 1)
            move = move * (lengths / self._full_length).clamp(max=1.0)
        moved = own - self._centre + move
        if self._whitening is not None:
            moved = functional.normalize(moved, dim=-1) @ self._whitening
        return functional.normalize(moved, dim=-1)

    def _lexical_mean(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (H,): repeated words count more than once, but less and less."""
        unique, counts = tokens.unique(return_counts=True)
        weights = self._rarity[unique] * (counts / (counts + 1.0))
        return weights @ self._table[unique]


def progress_shares(decay: float, *, steps: int, full: int) -> torch.Tensor:
    """Return (steps,): how far towards the anchor steps 1 to ``steps`` are to have gone.

    Args:
        decay: of ``residual_sum``.
        steps: K.
        full: the step that is to have arrived.
    """
    reached = 1.0 - decay ** torch.arange(1, max(steps, full) + 1, dtype=torch.float32)
    return reached[:steps] / reached[full - 1]


def anchor_loss(
    embeddings: torch.Tensor, anchors: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Return the mean of 1 - cosine between each step's vectors and where they should be.

    Args:
        embeddings: (1 + S, N, D) unit vectors of step 0 and S steps.
        anchors: (N, D) unit vectors.
        shares: (S,) from ``progress_shares``.
    """
    start = embeddings[0].detach()
    targets = functional.normalize(start + shares[:, None, None] * (anchors - start), dim=-1)
    return (1.0 - (embeddings[1:] * targets).sum(dim=-1)).mean()


def _unit_mean(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return functional.normalize((states * weights).sum(dim=1) / weights.sum(dim=1), dim=-1)
