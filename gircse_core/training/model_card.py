"""The card of a trained model: what was done, on what, with what result, and how to repeat it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gircse_core.config import ModelConfig
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.progress import DataFile, TrainingReport
from gircse_core.training.run_folder import RunRecord

__all__ = ["CARD_FILE", "model_card", "notes_of"]

CARD_FILE = "README.md"
"""The name by which hubs show it."""

_NOTES = "## Notes"
_NO_NOTES = "Nothing has been noted. What is written here stays when the card is made again."


def model_card(
    record: RunRecord,
    report: TrainingReport,
    conventions: ModelConfig,
    *,
    start: str,
    trained: int,
    notes: str | None = None,
) -> str:
    """Return the card in Markdown.

    Args:
        record: what the run was.
        report: how it ended.
        conventions: of the finished model.
        start: name of the model that was trained further: a base, or one with an adapter.
        trained: number of trained weights.
        notes: what stood under the notes of an earlier card.
    """
    config = record.config
    parts = [
        f"# {report.folder.resolve().name}",
        f"Trained from `{start}` by Iterative Contrastive Refinement (Tsai et al., ICLR 2026, "
        f"arXiv:2509.24291): {conventions.family.replace('_', ' ')}, {config.steps} refinement "
        f"steps in training, {trained:,} trained weights.",
        f"Beyond the published method: {_beyond(config)}.",
        "## Result",
        _losses(report),
        "![Loss by step count](curves.png)",
        "## How to repeat it",
        _command(record),
        f"Seed {config.seed}; {report.updates:,} updates, {report.examples:,} pairs, "
        f"{report.seconds / 60:.1f} minutes on {_processes(record.processes)}.",
        "The same command on the same files, versions and machine gives the same losses; on other "
        "machines they differ by rounding.",
        "## Data",
        _data(record.data),
        "## Training configuration",
        _json(config.as_dict()),
        "## Model configuration",
        _json(asdict(conventions)),
        "## Versions",
        "\n".join(f"- {name} {number}" for name, number in record.versions.items()),
        _NOTES,
        notes or _NO_NOTES,
    ]
    return "\n\n".join(parts) + "\n"


def notes_of(card: str) -> str | None:
    """Return what people wrote under the notes of a card."""
    _, found, notes = card.partition(f"\n{_NOTES}\n")
    text = notes.strip()
    return text if found and text != _NO_NOTES else None


def _losses(report: TrainingReport) -> str:
    header = "| steps | " + " | ".join(str(step) for step in report.step_losses) + " |"
    rule = "|---" * (len(report.step_losses) + 1) + "|"
    values = " | ".join(f"{loss:.4f}" for loss in report.step_losses.values())
    return (
        "Training loss (InfoNCE in the batch) by step count, mean of the last tenth of the "
        f"updates; the total that was minimised is {report.loss:.4f}. It says nothing of unseen "
        f"data: `gircse eval` does.\n\n{header}\n{rule}\n| loss | {values} |"
    )


def _command(record: RunRecord) -> str:
    if record.command is None:
        return "Trained from a program, with the configuration below."
    return f"```sh\n{record.command}\n```"


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _data(files: Sequence[DataFile]) -> str:
    lines = ["| file | pairs | by source | SHA-256 |", "|---|---|---|---|"]
    total: Counter[str] = Counter()
    for file in files:
        total.update(file.pairs)
        sources = ", ".join(f"{_cell(name)} {count:,}" for name, count in file.pairs.items())
        left = f" ({file.left_out:,} left out)" if file.left_out else ""
        lines.append(
            f"| {_cell(file.name)} | {sum(file.pairs.values()):,}{left} | {sources} "
            f"| `{file.sha256}` |"
        )
    return f"{sum(total.values()):,} pairs.\n\n" + "\n".join(lines)


def _cell(text: str) -> str:
    """Names come from the data: they may not break the table or carry markup."""
    safe = "".join(letter if letter.isprintable() else " " for letter in text)
    for mark in "\\|`*_<>[]":
        safe = safe.replace(mark, f"\\{mark}")
    return safe


def _json(values: dict[str, Any]) -> str:
    return f"```json\n{json.dumps(values, indent=2, ensure_ascii=False)}\n```"


def _beyond(config: TrainingConfig) -> str:
    """Return in one line what was switched on beyond the published method."""
    switches = {
        "soft tokens that read the text again after their last layer": config.reading,
        "cross-step pairs": config.cross_step_weight,
        "distillation": config.distillation_weight,
        "an anchor to refine towards": config.anchor_weight,
        "stage-wise steps": config.stagewise,
        "weight averaging": config.average_decay,
    }
    return ", ".join(name for name, on in switches.items() if on) or "nothing"
