"""From the folder of a run to the folder of a model to ship."""

from __future__ import annotations

import shutil
from pathlib import Path

from gircse_core.errors import TrainingInputError
from gircse_core.registry import resolve
from gircse_core.training.checkpoints import latest_checkpoint, load_checkpoint
from gircse_core.training.curves import CURVES_FILE
from gircse_core.training.model_card import CARD_FILE
from gircse_core.training.run_folder import RunFolder
from gircse_core.training.trainees import load_trainee

__all__ = ["export_run"]


def export_run(run: Path, out: Path, *, half: bool = True) -> list[Path]:
    """Write the model of a run as of its latest checkpoint; return the files written.

    Args:
        run: folder of the run, finished or not.
        out: a folder that does not exist yet or is empty.
        half: store float16.

    Raises:
        TrainingInputError: there is no run or no checkpoint, or ``out`` is taken.
    """
    folder = RunFolder(run)
    record = folder.record()
    found = latest_checkpoint(folder.checkpoints)
    if found is None:
        raise TrainingInputError(
            f"The run in {run} has no checkpoint yet. Let it go on: --checkpoint-every says when "
            "one is written."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingInputError(f"{out} exists already. Choose a new folder.")
    checkpoint = load_checkpoint(found)
    config = record.config
    trainee = load_trainee(resolve(config.model, offline=True), config, device="cpu")
    trainee.fixed.update(checkpoint.fixed)
    out.mkdir(parents=True, exist_ok=True)
    trainee.export(out, checkpoint.average or checkpoint.weights, half=half)
    for name in (CARD_FILE, CURVES_FILE):
        if (run / name).is_file():
            shutil.copyfile(run / name, out / name)
    return sorted(out.iterdir())
