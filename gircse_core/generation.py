"""The generation loop: read the prompt once, then write soft tokens one position at a time.

Knows neither families nor devices. ``generate_naive`` recomputes everything at every step and is
kept as the oracle of the cached loop.

Source: Tsai et al., ICLR 2026, arXiv:2509.24291.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from gircse_core.backbones.base import Backbone, CacheT, Prefix
from gircse_core.config import ModelConfig
from gircse_core.pooling import start_pooling

__all__ = ["GenerationStep", "continue_from", "generate", "generate_naive"]


@dataclass(frozen=True, slots=True)
class GenerationStep:
    """What one refinement step has produced.

    Args:
        step: k, the number of soft tokens written so far.
        embedding: (B, H) z_k, float32, unit length.
        distribution: (B, U) probabilities of soft token k over the backbone's head tokens; None
            at k = 0.
    """

    step: int
    embedding: torch.Tensor
    distribution: torch.Tensor | None


def generate(
    backbone: Backbone[CacheT],
    config: ModelConfig,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    *,
    max_steps: int,
) -> Iterator[GenerationStep]:
    """Yield z_k from the model's smallest k to ``max_steps``, from one prefill and one cache.

    A step is computed when it is asked for, so a caller may stop at any of them; after the last
    one no head is computed.

    Args:
        backbone: the model.
        config: its pooling.
        input_ids: (B, T) int64 prompts.
        attention_mask: (B, T) int64.
        max_steps: K, at least the model's smallest.
    """
    prefix = backbone.prefill(input_ids, attention_mask)
    yield from continue_from(backbone, config, prefix, max_steps=max_steps)


def continue_from(
    backbone: Backbone[CacheT], config: ModelConfig, prefix: Prefix[CacheT], *, max_steps: int
) -> Iterator[GenerationStep]:
    """Yield what ``generate`` does, from a prompt that has just been read."""
    pooling = start_pooling(config, prefix.pooled)
    if prefix.pooled is not None:
        yield GenerationStep(0, functional.normalize(pooling.running, dim=-1), None)
    readout = prefix.readout  # (B, H)
    for step in range(1, max_steps + 1):
        distribution = backbone.distribution(prefix, readout)  # (B, U)
        state = backbone.step(prefix, backbone.soft_embedding(distribution))  # (B, H)
        pooling.add(state)
        readout = pooling.running if backbone.reads_running_embedding else state
        yield GenerationStep(step, functional.normalize(pooling.running, dim=-1), distribution)


def generate_naive(
    backbone: Backbone[CacheT],
    config: ModelConfig,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    *,
    max_steps: int,
) -> list[torch.Tensor]:
    """Return [(B, H) z_k] like ``generate``, with the whole sequence recomputed at every step."""
    prefix = backbone.prefill(input_ids, attention_mask)
    pooling = start_pooling(config, prefix.pooled)
    embeddings = [] if prefix.pooled is None else [functional.normalize(pooling.running, dim=-1)]
    readout = prefix.readout
    soft_tokens: list[torch.Tensor] = []
    for _ in range(max_steps):
        distribution = backbone.distribution(prefix, readout)
        soft_tokens.append(backbone.soft_embedding(distribution))
        stacked = torch.stack(soft_tokens, dim=1)  # (B, k, H)
        states = backbone.naive_states(input_ids, attention_mask, stacked)  # (B, k, H)
        pooling = start_pooling(config, prefix.pooled)
        for state in states.unbind(dim=1):
            pooling.add(state)
        readout = pooling.running if backbone.reads_running_embedding else states[:, -1]
        embeddings.append(functional.normalize(pooling.running, dim=-1))
    return embeddings
