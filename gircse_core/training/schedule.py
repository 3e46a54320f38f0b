"""The learning rate of each update, as a function of its number alone."""

from __future__ import annotations

import math

from gircse_core.training.configuration import TrainingConfig

__all__ = ["learning_rate"]


def learning_rate(config: TrainingConfig, update: int) -> float:
    """Return the rate of update ``update``, from 0: a linear rise, then the schedule's fall to 0.

    Args:
        config: resolved.
        update: below ``config.updates``.
    """
    assert config.learning_rate is not None  # resolved
    assert config.warmup is not None
    rise = math.ceil(config.warmup * config.updates)
    if update < rise:
        return config.learning_rate * (update + 1) / rise
    share = (update - rise) / max(config.updates - rise, 1)  # of the fall, 0 to below 1
    match config.schedule:
        case "linear":
            factor = 1 - share
        case "cosine":
            factor = (1 + math.cos(math.pi * share)) / 2
        case _:
            factor = 1.0
    return config.learning_rate * factor
