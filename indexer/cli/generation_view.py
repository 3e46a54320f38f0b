"""What ``gircse collections show`` says of generations and of a collection's own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import IndexerError
from indexer.wording import count_text, size_text, time_text

if TYPE_CHECKING:
    from indexer.generations import GenerationRecord
    from indexer.rollback import RollbackReport
    from indexer.search_defaults import SearchDefaults

__all__ = [
    "defaults_as_dict",
    "defaults_text",
    "generation_as_dict",
    "generation_facts",
    "measured_text",
    "rollback_notes",
]


def generation_as_dict(directory: Path, record: GenerationRecord) -> dict[str, object]:
    """Return a generation of the collection in a directory as plain values for JSON."""
    return {**record.as_dict(), **_made_with(directory, record)}


def generation_facts(directory: Path, record: GenerationRecord, *, label: str) -> dict[str, str]:
    """Return what there is to say of a generation, by labels that begin with ``label``."""
    made = f", made {time_text(record.made_at)}" if record.made_at else ""
    with_what = _made_with(directory, record)
    facts = {
        label: f"generation {record.number}{made}",
        f"{label}.store": record.store,
        f"{label}.index": record.index,
        f"{label}.why": record.why,
        f"{label}.measured": measured_text(record.measured or {}),
        **{f"{label}.{name}": str(value) for name, value in with_what.items()},
    }
    return {name: text for name, text in facts.items() if text}


def defaults_as_dict(defaults: SearchDefaults) -> dict[str, object]:
    """Return a collection's own defaults as plain values for JSON; null where none was chosen."""
    return {"dense_weight": defaults.dense_weight, "steps": defaults.steps}


def defaults_text(defaults: SearchDefaults) -> str:
    """Return how a collection is searched where the user says nothing, if tuning found that."""
    parts = []
    if defaults.dense_weight is not None:
        parts.append(f"dense weight {defaults.dense_weight}")
    if defaults.steps is not None:
        parts.append(f"{defaults.steps} steps")
    return ", ".join(parts) if parts else "not tuned (gircse tune finds them)"


def rollback_notes(report: RollbackReport, name: str) -> list[str]:
    """Return what a rollback leaves out of sight, and how to bring it in."""
    notes = []
    if report.problem:
        notes.append(
            f"What came in or changed since the rebuild is not in it, nor can it be told:"
            f" {report.problem}. Read it again: gircse index PATH -c {name}"
        )
    if report.missing:
        notes.append(
            f"Not in it: {count_text(report.missing, 'document')} that came in or changed since."
            f" Read them again: gircse index PATH -c {name}"
        )
    if report.surplus:
        notes.append(
            f"In it again: {count_text(report.surplus, 'document')} that had been removed. Remove"
            f" those whose files are gone: gircse index PATH -c {name} --prune"
        )
    return notes


def measured_text(measured: Mapping[str, object]) -> str:
    """Return what was measured of a generation after it was built."""
    return ", ".join(
        f"{name.replace('_', ' ')} {_figure(name, value)}" for name, value in measured.items()
    )


def _made_with(directory: Path, record: GenerationRecord) -> dict[str, object]:
    from indexer.collection_config import read_settings

    try:
        settings = read_settings(directory, record.content_directory(directory))
    except IndexerError as error:  # of the previous generation: the live one was opened before
        return {"problem": str(error)}
    return {"model": settings.model, "steps": settings.steps}


def _figure(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return size_text(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
