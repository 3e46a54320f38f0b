"""From soft-token states g_1..g_k to the embedding z_k, one step at a time.

Each pooling keeps a running sum, so one run to K gives z_1..z_K for nothing.
"""

from __future__ import annotations

from typing import Protocol

import torch

from gircse_core.config import RESIDUAL_POOLINGS, ModelConfig

__all__ = ["GenerateMean", "LastState", "Pooling", "ResidualMean", "ResidualSum", "start_pooling"]


class Pooling(Protocol):
    """The running embedding of one batch."""

    @property
    def running(self) -> torch.Tensor:
        """(B, H) float32, before normalisation.

        Raises:
            ValueError: no step has been added and the pooling defines no K = 0.
        """

    def add(self, state: torch.Tensor) -> None:
        """Take in the (B, H) state of the next soft token."""


class GenerateMean:
    """z_k = mean(g_1..g_k), the published pooling. Source: arXiv:2509.24291."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | None = None
        self._steps = 0

    @property
    def running(self) -> torch.Tensor:
        """(B, H) mean of the states so far."""
        if self._sum is None:
            raise ValueError("generate_mean is undefined before the first step")
        return self._sum / self._steps

    def add(self, state: torch.Tensor) -> None:
        """Take in the (B, H) state of the next soft token."""
        self._sum = state.float() if self._sum is None else self._sum + state.float()
        self._steps += 1


class LastState:
    """z_k = g_k, the published alternative. Source: arXiv:2509.24291."""

    def __init__(self) -> None:
        self._state: torch.Tensor | None = None

    @property
    def running(self) -> torch.Tensor:
        """(B, H) state of the latest soft token."""
        if self._state is None:
            raise ValueError("last is undefined before the first step")
        return self._state

    def add(self, state: torch.Tensor) -> None:
        """Take in the (B, H) state of the next soft token."""
        self._state = state.float()


class ResidualMean:
    """z_k = p + gate * mean(g_1..g_k), with p the encoder's own pooled vector; z_0 = p.

    The weight of the refinement is bounded by the gate however many steps there are.

    Args:
        pooled: (B, H), before normalisation.
        gate: weight of the mean state; a tensor while it is being trained.
    """

    def __init__(self, pooled: torch.Tensor, gate: float | torch.Tensor) -> None:
        self._pooled = pooled.float()
        self._gate = gate
        self._mean = GenerateMean()
        self._running = self._pooled

    @property
    def running(self) -> torch.Tensor:
        """(B, H) pooled vector plus the gated mean state."""
        return self._running

    def add(self, state: torch.Tensor) -> None:
        """Take in the (B, H) state of the next soft token."""
        self._mean.add(state)
        self._running = self._pooled + self._gate * self._mean.running


class ResidualSum:
    """z_k = p + |p| * gate * sum over i of decay^(i - 1) * g_i, with p as in ``ResidualMean``.

    Each step adds to the ones before it, and less than they could: the total weight stays below
    gate / (1 - decay) however many steps there are.

    Args:
        pooled: (B, H), before normalisation.
        gate: weight of the first state.
        decay: factor from one state's weight to the next one's, below 1.
    """

    def __init__(self, pooled: torch.Tensor, gate: float, decay: float) -> None:
        self._running = pooled.float()
        self._weight = gate * self._running.norm(dim=-1, keepdim=True)  # (B, 1)
        self._decay = decay

    @property
    def running(self) -> torch.Tensor:
        """(B, H) pooled vector plus the weighted states so far."""
        return self._running

    def add(self, state: torch.Tensor) -> None:
        """Take in the (B, H) state of the next soft token."""
        self._running = self._running + self._weight * state.float()
        self._weight = self._weight * self._decay


def start_pooling(config: ModelConfig, pooled: torch.Tensor | None) -> Pooling:
    """Return the model's pooling at K = 0.

    Args:
        config: names the pooling and its gate.
        pooled: (B, H) vector of the encoder's own, for residual poolings; None for causal models.
    """
    if config.pooling in RESIDUAL_POOLINGS:
        if pooled is None:
            raise ValueError(f"{config.pooling} needs the encoder's own pooled vector")
        if config.pooling == "residual_sum":
            return ResidualSum(pooled, config.gate, config.decay)
        return ResidualMean(pooled, config.gate)
    return GenerateMean() if config.pooling == "generate_mean" else LastState()
