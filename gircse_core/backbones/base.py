"""What the generation loop asks of a model, whatever its family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch

__all__ = ["Backbone", "Prefix"]

CacheT = TypeVar("CacheT")


@dataclass(slots=True)
class Prefix(Generic[CacheT]):
    """A prompt that has been read, and what the soft tokens after it attend to.

    Args:
        readout: (B, H) state that the first soft token is read from.
        pooled: (B, H) the encoder's own vector, where the backbone defines K = 0; else None.
        cache: keys and values per layer; grows with every step.
        states: (B, T, H) of the prompt's last layer, where the backbone keeps them; else None.
    """

    readout: torch.Tensor
    pooled: torch.Tensor | None
    cache: CacheT
    states: torch.Tensor | None = None


class Backbone(Protocol[CacheT]):
    """A transformer that can read a prompt and continue it with soft tokens.

    All tensors live on ``device``; gradients flow where the caller has not switched them off.
    """

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights."""

    @property
    def hidden_size(self) -> int:
        """H, which is the embedding width D."""

    @property
    def vocabulary_size(self) -> int:
        """V."""

    @property
    def head_tokens(self) -> torch.Tensor | None:
        """(U,) ids of the tokens that soft tokens are made of; None where that is all V."""

    @property
    def reads_running_embedding(self) -> bool:
        """Whether soft tokens are read from the running embedding rather than the latest state."""

    def prefill(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Prefix[CacheT]:
        """Read (B, T) prompts once."""

    def distribution(self, prefix: Prefix[CacheT], readout: torch.Tensor) -> torch.Tensor:
        """Return (B, U) probabilities of the next soft token, from a (B, H) readout.

        Called once per step: a backbone may remember what has been said.
        """

    def soft_embedding(self, distribution: torch.Tensor) -> torch.Tensor:
        """Return (B, H): the probability-weighted mean of the input embeddings."""

    def step(self, prefix: Prefix[CacheT], soft_token: torch.Tensor) -> torch.Tensor:
        """Append a (B, H) soft token and return its (B, H) last-layer state."""

    def naive_states(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, soft_tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return the (B, k, H) states of (B, k, H) soft tokens, everything computed anew.

        The oracle of ``step``: no cache, no shortcut, only for tests.
        """
