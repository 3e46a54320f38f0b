"""What a training run tells while it goes on and when it is over; readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gircse_core.training.configuration import TrainingConfig

__all__ = ["DataFile", "TrainingProgress", "TrainingReport"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of pairs, as the model card names it.

    Args:
        name: file name without its folder.
        sha256: of the file as it lies on the disk.
        pairs: pairs used, by source.
        left_out: pairs left out by choice.
    """

    name: str
    sha256: str
    pairs: dict[str, int]
    left_out: int


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One update.

    Args:
        update: number of updates done, from 1.
        updates: number of updates of the whole run.
        source: where the last batch came from.
        step_losses: InfoNCE by step count, e.g. {0: 0.71, 1: 0.66}.
        loss: the total that was minimised.
        terms: its further terms by name, unweighted.
        learning_rate: of the low-rank adapters.
        gradient_norm: before clipping.
        examples: pairs seen so far.
        examples_per_second: lately.
        seconds: since the run began, interruptions left out.
        seconds_left: estimated.
    """

    update: int
    updates: int
    source: str
    step_losses: dict[int, float]
    loss: float
    terms: dict[str, float]
    learning_rate: float
    gradient_norm: float
    examples: int
    examples_per_second: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """A run that has ended, or was asked to stop.

    Args:
        folder: holds the model (once finished), its card and curves, and ``run/``.
        config: with all defaults filled in.
        updates: done in all, before interruptions included.
        finished: whether all updates were done; if not, the same call with resume goes on.
        seconds: of training in all.
        examples: pairs seen in all.
        step_losses: mean over the last updates, by step count.
        loss: mean of the total over the last updates.
        data: the files trained on.
    """

    folder: Path
    config: TrainingConfig
    updates: int
    finished: bool
    seconds: float
    examples: int
    step_losses: dict[int, float]
    loss: float
    data: tuple[DataFile, ...]
