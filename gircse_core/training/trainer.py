"""The public entry of training: configuration and files of pairs in, a model folder out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.progress import TrainingProgress, TrainingReport

__all__ = ["train"]


def train(
    config: TrainingConfig,
    pair_files: Sequence[Path],
    out: Path,
    *,
    resume: bool = False,
    command: str | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingReport:
    """Train a model and write it to a folder that loads like any other model.

    Args:
        config: the run.
        pair_files: ``.jsonl`` or ``.jsonl.gz``; see ``pairs``.
        out: folder for the model, its card and curves, and ``run/`` with the checkpoints.
        resume: go on from the latest checkpoint in ``out``, if there is one.
        command: what the card shows as the way to repeat the run.
        on_progress: called after every update.
        should_stop: asked after every update; True ends the run after a checkpoint.

    Raises:
        TrainingInputError: data, options or folder cannot be used.
        TrainingError: the loss is no number.
        ModelNotFoundError: there is no such model to start from.
        ModelIntegrityError: its files are damaged.
    """
    raise NotImplementedError
