"""Returns a collection to its previous generation, after seeing that this one is sound."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.canary import probe
from indexer.generation import Generation
from indexer.generations import GenerationRecord, previous_generation, rollback

if TYPE_CHECKING:
    from indexer.collection import Collection
    from indexer.database import Database

__all__ = ["RollbackReport", "roll_back"]


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What became of a rollback.

    Args:
        live: the generation that is searched now.
        previous: the one that was; another rollback returns to it.
        missing: documents of that one that are not in the live one, or have other content there.
        surplus: documents of the live one that were removed from the other since.
    """

    live: GenerationRecord
    previous: GenerationRecord
    missing: int
    surplus: int


def roll_back(collection: Collection) -> RollbackReport:
    """Make the previous generation live again; searches move over with their next query.

    Its index is brought up to date with its content first. Where the contents differ, the previous
    one is as it was when it was replaced; the report says what that leaves out.

    Raises:
        UsageError: there is no previous generation.
        CollectionBusyError: another thread or process is writing to the collection.
        StorageError: the previous generation is damaged; the live one stays live.
    """
    with collection.write_lock("rolling back") as live:
        previous = previous_generation(collection.directory)
        with closing(Generation(collection.directory, previous)) as generation:
            generation.store.flush()
            probe(generation)
            missing, surplus = 0, 0
            if generation.record.content != live.record.content:
                old, new = _documents(generation.database), _documents(live.database)
                missing = sum(old.get(one) != sha256 for one, sha256 in new.items())
                surplus = len(old.keys() - new.keys())
        after = rollback(collection.directory)
        assert after.previous is not None
        return RollbackReport(after.live, after.previous, missing, surplus)


def _documents(database: Database) -> dict[str, str | None]:
    """Return the checksum of the file behind every document that can be searched."""
    with database.read() as connection:
        return dict(
            connection.execute(
                "SELECT d.id, f.sha256 FROM documents d LEFT JOIN files f ON f.document_id = d.id"
            ).fetchall()
        )
