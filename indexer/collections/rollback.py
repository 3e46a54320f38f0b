"""Returns a collection to its previous generation, after seeing that this one is sound."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.collections.canary import probe
from indexer.collections.generation import Generation
from indexer.collections.generations import (
    GenerationRecord,
    previous_generation,
    read_generations,
    rollback,
)
from indexer.collections.write_lock import WriteLock
from indexer.errors import StorageError

__all__ = ["RollbackReport", "roll_back"]


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What became of a rollback.

    Args:
        live: the generation that is searched now.
        previous: the one that was; another rollback returns to it.
        missing: documents of that one that are not in the live one, or have other content there.
        surplus: documents of the live one that were removed from the other since.
        problem: why the one that was live cannot be read, and nothing compared; empty otherwise.
    """

    live: GenerationRecord
    previous: GenerationRecord
    missing: int
    surplus: int
    problem: str = ""


def roll_back(directory: Path) -> RollbackReport:
    """Make the previous generation live again; searches move over with their next query.

    Its index is brought up to date with its content first. Where the contents differ, the previous
    one is as it was when it was replaced; the report says what that leaves out. The live one may be
    damaged, even beyond being opened: this is a way out.

    Args:
        directory: the collection's directory.

    Raises:
        UsageError: there is no previous generation.
        CollectionBusyError: another thread or process is writing to the collection.
        StorageError: the previous generation is damaged; the live one stays live.
    """
    with WriteLock(directory, name=directory.name).hold("rolling back"):
        live, previous = read_generations(directory).live, previous_generation(directory)
        missing, surplus, problem = 0, 0, ""
        with closing(Generation(directory, previous)) as generation:
            generation.store.flush()
            probe(generation)
            if previous.content != live.content:
                old = _documents(generation)
                try:
                    with closing(Generation(directory, live)) as damaged_or_not:
                        new = _documents(damaged_or_not)
                except StorageError as error:
                    problem = str(error)
                else:
                    missing = sum(old.get(one) != sha256 for one, sha256 in new.items())
                    surplus = len(old.keys() - new.keys())
        after = rollback(directory)
        assert after.previous is not None
        return RollbackReport(after.live, after.previous, missing, surplus, problem)


def _documents(generation: Generation) -> dict[str, str | None]:
    """Return the checksum of the file behind every document that can be searched."""
    with generation.database.read() as connection:
        return dict(
            connection.execute(
                "SELECT d.id, f.sha256 FROM documents d LEFT JOIN files f ON f.document_id = d.id"
            ).fetchall()
        )
