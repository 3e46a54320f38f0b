"""Makes a copied content the live generation of its collection, in one step.

Until that step the old generation is live; afterwards it is the previous one, so that a rollback
returns to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.canary import probe
from indexer.database import Database
from indexer.errors import StorageError
from indexer.generation import Generation
from indexer.generations import GenerationRecord, next_number, publish, sweep
from indexer.reindexing.drafts import find_draft
from indexer.reindexing.rebuild_note import RebuildRight
from indexer.segments import disk_errors
from indexer.transfer.copying import link_or_copy

if TYPE_CHECKING:
    from indexer.collection import Collection

__all__ = ["adopt", "adopting", "link_index", "rename_index"]

_INDEX_FILES = ("index.faiss", "index.json")


@contextmanager
def adopting(collection: Collection, purpose: str) -> Iterator[int]:
    """Hold the right to make another generation live; give the number for it.

    What a block that fails leaves is swept, as is what no generation needs any more.

    Args:
        collection: of which.
        purpose: what is being done, as others read it.

    Raises:
        CollectionBusyError: another process is writing to the collection, or rebuilds it.
    """
    right = RebuildRight(collection.directory)
    with ExitStack() as stack:
        stack.enter_context(right.hold())
        right.describe(purpose)
        stack.enter_context(collection.write_lock(purpose))
        try:
            yield next_number(collection.directory)
        finally:
            draft = find_draft(collection.directory)
            sweep(collection.directory, keep={draft.content} if draft is not None else ())


def adopt(
    collection: Collection, record: GenerationRecord, *, keep_previous: bool = True
) -> GenerationRecord:
    """Bring the index of a generation up to date, probe it and make it live.

    Args:
        collection: of which; inside ``adopting``.
        record: the generation; its content is complete.
        keep_previous: whether a rollback can return to what was live.

    Returns:
        The record as it was published.

    Raises:
        StorageError: its vectors or its index are not sound; the old generation stays live.
    """
    folder = record.index_directory(collection.directory)
    with disk_errors(folder, needed=0):
        folder.mkdir(exist_ok=True)
    with closing(Generation(collection.directory, record)) as generation:
        damaged = generation.archive.verify()
        if damaged:
            raise StorageError(f"{damaged[0]}; nothing was changed: use another copy")
        generation.store.flush()
        probe(generation)
    published = replace(record, made_at=time.time())
    return publish(collection.directory, published, keep_previous=keep_previous).live


def link_index(source: Path, target: Path) -> None:
    """Give a new folder the index files of another, which are replaced but never changed.

    A pair that is being replaced meanwhile does not fit together, and is built anew when used.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with disk_errors(target, needed=0):
        target.mkdir(exist_ok=True)
        for name in _INDEX_FILES:
            if (source / name).exists():
                link_or_copy(source / name, target / name)


def rename_index(database: Database, old: GenerationRecord, new: GenerationRecord) -> None:
    """Let a copied database know its index by another generation's, and forget all others."""
    with database.write() as connection:
        name = f"index-{old.number}" if old.number else "."
        connection.execute("DELETE FROM index_files WHERE name != ?", (name,))
        connection.execute("UPDATE index_files SET name = ?", (f"index-{new.number}",))
