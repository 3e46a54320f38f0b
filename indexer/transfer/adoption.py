"""Makes a copied content the live generation of its collection, in one step.

Until that step the old generation is live; afterwards it is the previous one, so that a rollback
returns to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from indexer.collections.canary import probe
from indexer.collections.generation import Generation
from indexer.collections.generations import GenerationRecord, next_number, publish, sweep
from indexer.collections.write_lock import WriteLock
from indexer.errors import StorageError
from indexer.reindexing.drafts import find_draft
from indexer.reindexing.rebuild_note import RebuildRight
from indexer.storage.database import Database
from indexer.storage.segments import disk_errors
from indexer.stores.index_file import IndexFile
from indexer.transfer.copying import link_or_copy

__all__ = ["adopt", "adopting", "link_index", "rename_index"]

_INDEX_FILES = ("index.faiss", "index.json")
_LOOKS, _PAUSE_S = 10, 0.05


@contextmanager
def adopting(directory: Path, purpose: str) -> Iterator[int]:
    """Hold the right to make another generation live; give the number for it.

    What a block that fails leaves is swept, as is what no generation needs any more.

    Args:
        directory: the collection's directory.
        purpose: what is being done, as others read it.

    Raises:
        CollectionBusyError: another process is writing to the collection, or rebuilds it.
    """
    right = RebuildRight(directory)
    with right.hold():
        right.describe(purpose)
        with WriteLock(directory, name=directory.name).hold(purpose):
            try:
                yield next_number(directory)
            finally:
                draft = find_draft(directory)
                sweep(directory, keep={draft.content} if draft is not None else ())


def adopt(
    directory: Path, record: GenerationRecord, *, dropped: str | None = None
) -> GenerationRecord:
    """Bring the index of a generation up to date, probe it and make it live.

    Args:
        directory: the collection's directory; inside ``adopting``.
        record: the generation; its content is complete.
        dropped: a content that is damaged, to which no rollback shall return.

    Returns:
        The record as it was published.

    Raises:
        StorageError: its vectors or its index are not sound; the old generation stays live.
    """
    folder = record.index_directory(directory)
    with disk_errors(folder, needed=0):
        folder.mkdir(exist_ok=True)
    with closing(Generation(directory, record)) as generation:
        damaged = generation.archive.verify()
        if damaged:
            raise StorageError(f"{damaged[0]}; nothing was changed: use another copy")
        generation.store.flush()
        probe(generation)
    published = replace(record, made_at=time.time())
    return publish(directory, published, dropped=dropped).live


def link_index(source: Path, target: Path) -> None:
    """Give a new folder the index files of another, which are replaced but never changed.

    One that does not fit together, even after others had time to replace all of it, is left out:
    it is built anew when used.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with disk_errors(target, needed=0):
        target.mkdir(exist_ok=True)
        for _ in range(_LOOKS):
            try:
                for name in _INDEX_FILES:
                    link_or_copy(source / name, target / name)
            except FileNotFoundError:  # none was written yet
                break
            if IndexFile(target).fits():
                return
            _forget_index(target)
            time.sleep(_PAUSE_S)
        _forget_index(target)


def _forget_index(folder: Path) -> None:
    for name in _INDEX_FILES:
        (folder / name).unlink(missing_ok=True)


def rename_index(database: Database, old: GenerationRecord, new: GenerationRecord) -> None:
    """Let a copied database know its index by another generation's, and forget all others."""
    with database.write() as connection:
        name = f"index-{old.number}" if old.number else "."
        connection.execute("DELETE FROM index_files WHERE name != ?", (name,))
        connection.execute("UPDATE index_files SET name = ?", (f"index-{new.number}",))
