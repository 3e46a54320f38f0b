"""What soft tokens read of a prompt before anything is trained: the closed form of the anchor.

Rare tokens' states and words, away from what all texts share (see ``anchor``), spread over the
steps by the pooling's falling weights. Training then starts at a refinement that already helps, and
the network has to learn only what it can improve.
"""

from __future__ import annotations

import torch

from gircse_core.backbones.reading import READING_PREFIX
from gircse_core.config import ModelConfig
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.teacher import TokenStatistics

__all__ = ["initial_reading", "total_weight"]


def initial_reading(
    statistics: TokenStatistics, centre: torch.Tensor, model: ModelConfig, config: TrainingConfig
) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``Reading`` by their names in an adapter.

    Args:
        statistics: of the training texts.
        centre: (H,) mean unit vector of the training texts.
        model: its pooling, ``residual_sum``, decides what each step weighs.
        config: the anchor's weights, and the step that is to have arrived there.
    """
    hidden = len(centre)
    total = total_weight(model, steps=config.anchor_steps)
    identity = torch.eye(hidden) / total
    tensors = {
        "rarity": statistics.word_rarity(),
        "centre": centre,
        "offset": -centre / total,
        "sharpness": torch.ones(2),
        "salience": torch.zeros(2, hidden),
        "query": torch.zeros(2, hidden, hidden),
        "states": config.anchor_rare * identity,
        "words": config.anchor_lexical * identity,
        "length": torch.tensor(float(config.anchor_length)),
    }
    return {f"{READING_PREFIX}{name}": tensor for name, tensor in tensors.items()}


def total_weight(model: ModelConfig, *, steps: int) -> float:
    """Return what the states of so many steps weigh together in ``residual_sum``."""
    return model.gate * (1.0 - model.decay**steps) / (1.0 - model.decay)
