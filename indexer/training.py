"""The seam to training: the second of the two modules that know ``gircse_core``.

Imports torch only when something is trained or exported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import UsageError

if TYPE_CHECKING:
    # Under their own names, so that the command line can name them from here.
    from gircse_core.training.collection import FitReport as FitReport
    from gircse_core.training.configuration import TrainingConfig as TrainingConfig
    from gircse_core.training.mining import MiningProgress
    from gircse_core.training.progress import TrainingProgress as TrainingProgress
    from gircse_core.training.progress import TrainingReport as TrainingReport
    from gircse_core.training.query_writer import QueryWriter

__all__ = [
    "check_run_folder",
    "export_model",
    "fit_model",
    "load_query_writer",
    "mine_negatives",
    "train_model",
    "training_config",
]


def training_config(values: Mapping[str, Any]) -> TrainingConfig:
    """Return the configuration of a run from its options by name; the others get their defaults.

    Raises:
        ModelError: a value is out of range.
    """
    from gircse_core.training.configuration import TrainingConfig

    return TrainingConfig(**values)


def check_run_folder(out: Path, *, resume: bool) -> None:
    """Check that a run may begin or go on in a folder, before anything is made for it.

    Raises:
        UsageError: the packages for training are not installed.
        ModelError: it holds a run that is not to be gone on with, or other files.
    """
    _require_training()
    from gircse_core.training.run_folder import RunFolder

    RunFolder(out).check(resume=resume)


def train_model(
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
        pair_files: ``.jsonl`` or ``.jsonl.gz`` with query, pos and, where known, neg and source.
        out: folder for the model.
        resume: go on from the latest checkpoint in ``out``.
        command: what the model's card shows as the way to repeat the run.
        on_progress: called after every update.
        should_stop: asked after every update; True ends the run after a checkpoint.

    Raises:
        UsageError: the packages for training are not installed.
        ModelError: data, options or model cannot be used, or the loss is no number.
    """
    _require_training()
    from gircse_core.training.trainer import train

    return train(
        config,
        pair_files,
        out,
        resume=resume,
        command=command,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def fit_model(
    model: str,
    texts: Sequence[str],
    out: Path,
    *,
    device: str | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> FitReport:
    """Fit a model's refinement to texts in closed form and write it to a folder.

    Args:
        model: where to start.
        texts: as they are embedded.
        out: folder for the model, new or empty.
        device: torch's name for one; None chooses.
        on_progress: told in words what is being done.

    Raises:
        ModelError: the model has nothing to fit, or the texts are too few.
    """
    from gircse_core.training.collection import fit_to_texts

    return fit_to_texts(model, texts, out, device=device, on_progress=on_progress)


def mine_negatives(
    pair_files: Sequence[Path],
    out: Path,
    *,
    model: str,
    negatives: int,
    leave_out: Sequence[str] = (),
    device: str | None = None,
    on_progress: Callable[[MiningProgress], None] | None = None,
) -> list[Path]:
    """Write the pairs with hard negatives that a model finds for them; return the new files.

    Args:
        pair_files: as for ``train_model``.
        out: folder for the new files; what it holds from the same call is not mined again.
        model: who looks for them.
        negatives: at most so many for a query.
        leave_out: sources and tags to skip.
        device: torch's name for one; None chooses.
        on_progress: called after every group of texts.

    Raises:
        UsageError: the packages for training are not installed.
        ModelError: files, folder or model cannot be used.
    """
    _require_training()
    from gircse_core.training.mining import MiningConfig, mine

    config = MiningConfig(
        model=model, negatives=negatives, leave_out=tuple(leave_out), device=device
    )
    return mine(config, pair_files, out, on_progress=on_progress)


def export_model(run: Path, out: Path, *, half: bool = True) -> list[Path]:
    """Write the model of a run, finished or not, as a folder to ship; return its files.

    Args:
        run: folder of the run.
        out: new folder.
        half: store float16.

    Raises:
        UsageError: the packages for training are not installed.
        ModelError: there is no run, or ``out`` is taken.
    """
    _require_training()
    from gircse_core.training.shipping import export_run

    return export_run(run, out, half=half)


def load_query_writer(model: str, *, device: str | None = None, seed: int = 0) -> QueryWriter:
    """Load a causal language model that writes queries for passages; takes seconds.

    Args:
        model: a local folder, or a hub id that has been pulled.
        device: torch's name for one; None chooses the best there is.
        seed: decides what it writes.

    Raises:
        ModelError: it is missing, damaged or no causal language model.
    """
    from gircse_core.training.query_writer import QueryWriter, WritingConfig

    return QueryWriter(model, WritingConfig(seed=seed), device=device)


def _require_training() -> None:
    missing = [name for name in ("accelerate", "matplotlib") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Training needs {' and '.join(missing)}, not installed here: "
            "pip install 'gircse-search[train]'"
        )
    # Read by OpenMP when torch is first imported; see indexer.embedder.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
