"""A collection at a glance, without opening what makes it searchable."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from indexer.collections.config import DATABASE_FILE, read_config
from indexer.collections.generations import GenerationRecord, pointer_stamp, read_generations
from indexer.errors import FormatVersionError, IndexerError
from indexer.storage.database import Database
from indexer.storage.ledger import Ledger

__all__ = ["CollectionSummary", "summarize"]


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """A collection at a glance.

    Args:
        name: its name.
        documents: files that can be searched.
        chunks: their passages.
        size_bytes: what its directory takes on the disk.
        model: its model; empty when it cannot be read.
        steps: refinement steps of its documents; None when it cannot be read.
        states: number of files in each state of the ledger that occurs.
        modified_at: when it last changed, seconds since the epoch.
        problem: why it cannot be opened, with what to do; None when all is well.
        live: the generation that is searched; None when it cannot be read.
        previous: the one before it; None when there is none.
    """

    name: str
    documents: int
    chunks: int
    size_bytes: int
    model: str
    steps: int | None
    states: dict[str, int] = field(default_factory=dict)
    modified_at: float = 0.0
    problem: str | None = None
    live: GenerationRecord | None = None
    previous: GenerationRecord | None = None


def summarize(directory: Path) -> CollectionSummary:
    """Return the summary of the collection in a directory; damage is told in ``problem``."""
    stamp = pointer_stamp(directory)
    summary = _summary(directory)
    if summary.problem is not None and pointer_stamp(directory) != stamp:
        return _summary(directory)  # a swap took away what was being looked at
    return summary


def _summary(directory: Path) -> CollectionSummary:
    name, size = directory.name, _size_bytes(directory)
    try:
        generations = read_generations(directory)
        content = generations.live.content_directory(directory)
        config = read_config(directory, content)
        with closing(_open(content / DATABASE_FILE)) as database:
            totals = Ledger(database).totals()
    except IndexerError as error:
        return CollectionSummary(name, 0, 0, size, "", None, problem=str(error))
    return CollectionSummary(
        name=name,
        documents=totals.documents,
        chunks=totals.chunks,
        size_bytes=size,
        model=config.model,
        steps=config.steps,
        states=totals.states,
        modified_at=totals.modified_at or config.created_at,
        live=generations.live,
        previous=generations.previous,
    )


def _open(path: Path) -> Database:
    """Open a database without changing it, unless an older version of the program made it."""
    try:
        return Database(path, read_only=True)
    except FormatVersionError:
        return Database(path)  # brings it up to date, where this user may write


def _size_bytes(directory: Path) -> int:
    """Return what a collection takes, files counted once that snapshots share with it."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                status = (Path(folder) / name).stat()
            except FileNotFoundError:  # a writer replaces and removes files meanwhile
                continue
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())
