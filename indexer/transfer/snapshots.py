"""Snapshots: copies of a collection's live generation that cost next to nothing and stay put.

Each is whole or not there. Deleting the collection deletes them; for another disk or machine there
are archives, see ``indexer.transfer.exporting``.
"""

from __future__ import annotations

import shutil
import time
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.config import DATABASE_FILE, read_settings
from indexer.collections.generation_record import GenerationRecord
from indexer.errors import StorageError, UsageError
from indexer.storage.database import Database
from indexer.storage.ledger import Ledger
from indexer.storage.segments import disk_errors, sync_folder
from indexer.stores.index_types import DEFAULT_INDEX_TYPE
from indexer.transfer.adoption import adopt, adopting, link_index, rename_index
from indexer.transfer.copying import OnPart, copy_content
from indexer.transfer.snapshot_list import (
    INDEX_FOLDER,
    SNAPSHOTS_FOLDER,
    Snapshot,
    check_snapshot_name,
    describe_snapshot,
    find_snapshot,
    read_snapshot,
)

if TYPE_CHECKING:
    from indexer.collections.collection import Collection

__all__ = ["create_snapshot", "delete_snapshot", "restore_snapshot"]

_DRAFT, _REMOVED = ".new-", ".deleted-"
_ABANDONED_S = 3600.0


def create_snapshot(
    collection: Collection, name: str = "", *, on_part: OnPart = lambda done, of: None
) -> Snapshot:
    """Keep the live generation as it is now; others may search and index meanwhile.

    Args:
        collection: of which.
        name: what to call it; empty takes the time.
        on_part: told how far the copy of the database is.

    Raises:
        UsageError: the name is taken or impossible.
        StorageError: the disk is full or cannot be written; there is no snapshot then.
    """
    name = name or time.strftime("%Y%m%d-%H%M%S")
    check_snapshot_name(name)
    folder = collection.directory / SNAPSHOTS_FOLDER / name
    if folder.exists():
        raise UsageError(f"there is a snapshot {name!r} already; choose another name")
    with disk_errors(folder, needed=0):
        folder.parent.mkdir(exist_ok=True)
    _sweep(folder.parent)
    draft = folder.with_name(f"{_DRAFT}{uuid.uuid4().hex}")
    try:
        _fill(draft, collection, on_part)
        with disk_errors(folder, needed=0):
            draft.rename(folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return read_snapshot(folder)


def restore_snapshot(
    directory: Path, name: str, *, on_part: OnPart = lambda done, of: None
) -> GenerationRecord:
    """Make a snapshot's content the live generation; what was live becomes the previous one.

    The snapshot stays. Searches move over with their next query, in one step. What was searched on
    a server is searched here from then on, until ``gircse reindex`` moves it there again. The live
    generation may be damaged, even beyond being opened: this is a way out.

    Args:
        directory: the collection's directory.
        name: the snapshot.
        on_part: told how far the copy of the database is.

    Returns:
        The generation that is live now.

    Raises:
        UsageError: there is no such snapshot.
        CollectionBusyError: another process is writing to the collection, or rebuilds it.
        StorageError: the snapshot is damaged, or the disk full; what was live stays live.
    """
    snapshot, folder = find_snapshot(directory, name)
    kept = snapshot.generation
    if kept is None:
        raise StorageError(f"{snapshot.problem}; restore another snapshot, and delete this one")
    with adopting(directory, f"restoring snapshot {name}") as number:
        record = replace(kept, number=number, content=f"content-{number}")
        if kept.store != "faiss":  # what a server has belongs to the generation that was
            record = replace(record, store="faiss", index=DEFAULT_INDEX_TYPE, measured=None, why="")
        content = record.content_directory(directory)
        copy_content(folder, content, read_settings(folder, folder), on_part=on_part)
        link_index(folder / INDEX_FOLDER, record.index_directory(directory))
        with closing(Database(content / DATABASE_FILE)) as database:
            rename_index(database, kept, record)
        return adopt(directory, record)


def delete_snapshot(directory: Path, name: str) -> None:
    """Remove a snapshot.

    Args:
        directory: the collection's directory.
        name: the snapshot.

    Raises:
        UsageError: there is no such snapshot.
        StorageError: it cannot be removed.
    """
    _, folder = find_snapshot(directory, name)
    with disk_errors(folder, needed=0):
        folder.rename(folder.with_name(f"{_REMOVED}{uuid.uuid4().hex}"))
    _sweep(folder.parent)


def _fill(draft: Path, collection: Collection, on_part: OnPart) -> None:
    with collection.using() as live:
        copy_content(live.directory, draft, live.config.settings, on_part=on_part)
        link_index(live.index_directory, draft / INDEX_FOLDER)
        record = live.record
    with closing(Database(draft / DATABASE_FILE)) as database:
        totals = Ledger(database).totals()
    describe_snapshot(draft, documents=totals.documents, chunks=totals.chunks, generation=record)
    with disk_errors(draft, needed=0):
        sync_folder(draft)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left while making or deleting snapshots."""
    with disk_errors(folder, needed=0):
        left = list(folder.iterdir())
    for path in left:
        is_old = path.name.startswith(_DRAFT) and _age_s(path) > _ABANDONED_S
        if path.name.startswith(_REMOVED) or is_old:
            shutil.rmtree(path, ignore_errors=True)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
