"""What ``gircse collections show`` says of generations and of a collection's own defaults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import IndexerError
from indexer.wording import count_text, milliseconds_text, size_text, time_text

if TYPE_CHECKING:
    from indexer.collections.generations import GenerationRecord
    from indexer.collections.rollback import RollbackReport
    from indexer.collections.search_defaults import SearchDefaults

__all__ = [
    "defaults_as_dict",
    "defaults_text",
    "generation_as_dict",
    "generation_facts",
    "measured_text",
    "rollback_notes",
]


_MEASURED = ("recall_at_10", "median_ms", "p95_ms")


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
        f"{label}.measured": measured_text(record)
        or f"not yet: gircse reindex {directory.name} measures the index that it builds",
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
            f"Generation {report.previous.number} cannot be read any more, so that nobody can tell"
            f" what came in or changed since. Read all again: gircse index PATH -c {name}"
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


def measured_text(record: GenerationRecord) -> str:
    """Return what was measured of a generation after it was built; empty where nothing was."""
    figures = record.measured or {}
    recall, median_ms, p95_ms = (figures.get(name) for name in _MEASURED)
    parts = []
    if isinstance(recall, float):
        parts.append(f"recall@10 {recall:.3f} against exact search")
    if isinstance(median_ms, float) and isinstance(p95_ms, float):
        parts.append(
            f"{milliseconds_text(median_ms)} a search at the median, {milliseconds_text(p95_ms)} "
            "at 95 %"
        )
    if isinstance(size := figures.get("size_bytes"), int):
        parts.append(size_text(size))
    text = ", ".join(parts)
    counts = [
        count_text(count, noun)
        for name, noun in (("queries", "sample"), ("vectors", "vector"))
        if isinstance(count := figures.get(name), int)
    ]
    if counts:
        text += f" ({', '.join(counts)})"
    built_as = figures.get("index_type", record.index)
    if built_as != record.index:
        text += f"; built as {built_as}, for so few are searched faster and exactly so"
    return text


def _made_with(directory: Path, record: GenerationRecord) -> dict[str, object]:
    from indexer.collections.config import read_settings

    try:
        settings = read_settings(directory, record.content_directory(directory))
    except IndexerError as error:  # of the previous generation: the live one was opened before
        return {"problem": str(error)}
    return {"model": settings.model, "steps": settings.steps, "vectors": settings.vectors}
