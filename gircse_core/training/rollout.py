"""The generation loop as training runs it: every step's embedding, with its graph."""

from __future__ import annotations

import torch
from torch.nn import functional

from gircse_core.backbones.base import Backbone, CacheT, Prefix
from gircse_core.config import ModelConfig
from gircse_core.generation import continue_from
from gircse_core.pooling import Pooling, start_pooling

__all__ = ["rollout"]


def rollout(
    backbone: Backbone[CacheT],
    config: ModelConfig,
    prefix: Prefix[CacheT],
    *,
    steps: int,
    stagewise: bool = False,
) -> torch.Tensor:
    """Return (S, B, D): z_k from the model's smallest k to ``steps``, unit length.

    Gradients reach whatever of the backbone requires them, through the soft tokens too.

    Args:
        backbone: the model.
        config: its pooling.
        prefix: B prompts that have just been read.
        steps: K.
        stagewise: z_k is as always, but its gradient takes the states before g_k as given.
    """
    if stagewise:
        return _stagewise(backbone, config, prefix, steps)
    run = continue_from(backbone, config, prefix, max_steps=steps)
    return torch.stack([step.embedding for step in run])


def _stagewise(
    backbone: Backbone[CacheT],
    config: ModelConfig,
    prefix: Prefix[CacheT],
    steps: int,
) -> torch.Tensor:
    embeddings = []
    if prefix.pooled is not None:
        embeddings.append(functional.normalize(prefix.pooled.float(), dim=-1))
    readout = prefix.readout
    earlier: list[torch.Tensor] = []
    for _ in range(steps):
        distribution = backbone.distribution(prefix, readout)  # (B, U)
        state = backbone.step(prefix, backbone.soft_embedding(distribution))  # (B, H)
        pooling: Pooling = start_pooling(config, prefix.pooled)
        for before in earlier:
            pooling.add(before)
        pooling.add(state)
        embeddings.append(functional.normalize(pooling.running, dim=-1))
        readout = pooling.running if backbone.reads_running_embedding else state
        earlier.append(state.detach())
    return torch.stack(embeddings)
