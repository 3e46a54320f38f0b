"""Checkpoints of a run: written whole or not at all, tensors in safetensors, the rest in JSON.

Random numbers need no place in them: every batch has its own seed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gircse_core.errors import TrainingInputError
from gircse_core.integrity import file_sha256, read_json

__all__ = [
    "Checkpoint",
    "latest_checkpoint",
    "load_checkpoint",
    "optimiser_tensors",
    "restore_optimiser",
    "save_checkpoint",
]

_TENSORS, _STATE = "tensors.safetensors", "state.json"
_PARTS = ("weights", "fixed", "average", "optimiser")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a run needs to go on.

    Args:
        update: number of updates done.
        examples: pairs seen.
        seconds: time spent.
        weights: the trainable tensors by name.
        fixed: further tensors of the model, which do not change.
        average: the moving average of the weights by name; empty without one.
        optimiser: AdamW's ``tensor/quantity`` by name.
    """

    update: int
    examples: int
    seconds: float
    weights: dict[str, torch.Tensor]
    fixed: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor]
    optimiser: dict[str, torch.Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write a checkpoint into the folder of all of them and remove the oldest.

    Args:
        folder: of all checkpoints.
        checkpoint: what to write.
        keep: how many to leave.

    Returns:
        The checkpoint's own folder.
    """
    final = folder / f"{checkpoint.update:08d}"
    partial = folder / f"{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {
        f"{part}:{name}": tensor.detach().cpu().contiguous()
        for part in _PARTS
        for name, tensor in getattr(checkpoint, part).items()
    }
    save_file(tensors, partial / _TENSORS)
    state = {
        "format": 1,
        "update": checkpoint.update,
        "examples": checkpoint.examples,
        "seconds": checkpoint.seconds,
        "sha256": file_sha256(partial / _TENSORS),
    }
    (partial / _STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    for file in (partial / _TENSORS, partial / _STATE, partial):
        _sync(file)
    shutil.rmtree(final, ignore_errors=True)  # of a run that was resumed before it
    partial.replace(final)
    _sync(folder)
    for old in _numbered(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint's folder."""
    found = _numbered(folder)
    return found[-1] if found else None


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        TrainingInputError: it is damaged.
        ModelIntegrityError: its state is missing or unreadable.
    """
    state = read_json(folder / _STATE)
    file = folder / _TENSORS
    try:
        if state.get("format") != 1 or file_sha256(file) != state.get("sha256"):
            raise ValueError("its checksum or format does not fit")
        tensors = load_file(file)
        parts: dict[str, dict[str, torch.Tensor]] = {part: {} for part in _PARTS}
        for key, tensor in tensors.items():
            part, _, name = key.partition(":")
            parts[part][name] = tensor
        return Checkpoint(
            update=int(state["update"]),
            examples=int(state["examples"]),
            seconds=float(state["seconds"]),
            **parts,
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingInputError(
            f"The checkpoint {folder} is damaged: {error}. Delete it; the one before it, if there "
            "is one, is used then."
        ) from error


def optimiser_tensors(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the optimiser's state by the names of what it optimises."""
    return {
        f"{name}/{quantity}": torch.as_tensor(value)
        for name, tensor in tensors.items()
        for quantity, value in optimiser.state.get(tensor, {}).items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer,
    tensors: Mapping[str, torch.Tensor],
    saved: Mapping[str, torch.Tensor],
) -> None:
    """Put back what ``optimiser_tensors`` returned."""
    for key, value in saved.items():
        name, _, quantity = key.rpartition("/")
        tensor = tensors[name]
        # AdamW counts its steps on the CPU, whatever the tensor's device.
        home = value if quantity == "step" else value.to(tensor.device)
        optimiser.state[tensor][quantity] = home.clone()


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if re.fullmatch(r"[0-9]{8}", entry.name))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
