"""The folder of a run: ``run/run.json``, ``run/history.jsonl`` and ``run/checkpoints/``.

The model itself, its card and its curves lie above, in the folder that was asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gircse_core.errors import TrainingInputError
from gircse_core.integrity import read_json
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.progress import DataFile, TrainingProgress

__all__ = ["RunFolder", "RunRecord"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run is, as ``run.json`` keeps it.

    Args:
        config: resolved.
        data: the files trained on.
        command: how to repeat it, if that is known.
        versions: of the libraries that decide the numbers.
        processes: how many shared the work.
    """

    config: TrainingConfig
    data: tuple[DataFile, ...]
    command: str | None
    versions: dict[str, str]
    processes: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON would hold it."""
        return {
            "config": self.config.as_dict(),
            "data": [asdict(file) for file in self.data],
            "command": self.command,
            "versions": self.versions,
            "processes": self.processes,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, origin: str) -> RunRecord:
        """Build it from ``as_dict``.

        Raises:
            TrainingInputError: it is of another form.
        """
        try:
            return cls(
                TrainingConfig.from_dict(values["config"], origin=origin),
                tuple(DataFile(**file) for file in values["data"]),
                values["command"],
                dict(values["versions"]),
                int(values["processes"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingInputError(f"{origin} does not describe a run: {error}") from error


class RunFolder:
    """Where one run keeps its state.

    Args:
        folder: as asked for by the user.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "run"
        self.checkpoints = self.state / "checkpoints"
        self.record_file = self.state / "run.json"
        self.history_file = self.state / "history.jsonl"

    def record(self) -> RunRecord:
        """Return what ``run.json`` says.

        Raises:
            TrainingInputError: there is no run here.
        """
        if not self.record_file.is_file():
            raise TrainingInputError(
                f"{self.folder} holds no training run (no {self.record_file.name} in "
                f"{self.state.name}/). Give the folder that `gircse train --out` wrote."
            )
        return RunRecord.from_dict(read_json(self.record_file), origin=str(self.record_file))

    def check(self, *, resume: bool) -> None:
        """Check that a run may begin here, or go on.

        Raises:
            TrainingInputError: there is a run that is not to be gone on with, or other files.
        """
        if self.record_file.is_file():
            if not resume:
                raise TrainingInputError(
                    f"{self.folder} holds a run already. Go on with it with --resume, or choose "
                    "another folder."
                )
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise TrainingInputError(
                f"{self.folder} is not empty and holds no run to go on with. Choose another folder."
            )

    def start(self, record: RunRecord, *, resume: bool) -> None:
        """Claim the folder for a run, or check that the one in it is the same.

        Raises:
            TrainingInputError: it holds another run or other files.
        """
        self.check(resume=resume)
        if self.record_file.is_file():
            self._compare(record)
            return
        self.checkpoints.mkdir(parents=True)
        self.write(self.record_file, json.dumps(record.as_dict(), indent=2, ensure_ascii=False))

    def append(self, progress: TrainingProgress) -> None:
        """Add one update to the history."""
        values = asdict(progress)
        values["step_losses"] = {str(k): loss for k, loss in progress.step_losses.items()}
        with self.history_file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values, ensure_ascii=False) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """Return all updates so far; a last line that a kill cut short is left out."""
        if not self.history_file.is_file():
            return []
        updates = []
        # In bytes: str.splitlines would also cut at characters that names of sources may hold.
        for line in self.history_file.read_bytes().split(b"\n"):
            try:
                updates.append(json.loads(line))
            except ValueError:
                break
        return updates

    def rewind(self, update: int) -> None:
        """Forget what the history says after an update: it will be done again."""
        kept = [line for line in self.history() if line["update"] <= update]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
        self.write(self.history_file, text)

    @staticmethod
    def write(file: Path, text: str) -> None:
        """Write a small file whole or not at all."""
        partial = file.with_name(file.name + ".partial")
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)

    def _compare(self, record: RunRecord) -> None:
        known = self.record()
        differences = known.config.differences(record.config)
        if _hashes(known.data) != _hashes(record.data):
            differences.append("the files of pairs (name or content)")
        if known.processes != record.processes:
            differences.append(f"processes: {known.processes}, {record.processes}")
        if differences:
            raise TrainingInputError(
                f"{self.folder} holds another run, which differs in: {'; '.join(differences)}. "
                "Resume with the same options and files, or choose another folder."
            )


def _hashes(data: Sequence[DataFile]) -> list[tuple[str, str]]:
    return [(file.name, file.sha256) for file in data]
