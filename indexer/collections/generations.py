"""The generations of a collection, and the pointer that says which of them is live.

A generation is one content (database and vectors) with one index over it. The pointer,
``generations.json``, is replaced in one step, so that a search finds the old generation or the new
one and nothing between. Knows folders and their names; what is in them is of no concern here.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Collection as Names
from pathlib import Path

from indexer.collections.config import (
    DATABASE_FILE,
    SETTINGS_FILE,
    read_identity,
    read_settings,
    read_values,
    unreadable,
    write_identity,
    write_settings,
)
from indexer.collections.generation_record import (
    FOLDER_NAME,
    ROOT_CONTENT,
    GenerationRecord,
    Generations,
)
from indexer.errors import StorageError, UsageError
from indexer.storage.seal import seal_path
from indexer.storage.sealed_json import write_sealed
from indexer.storage.segments import disk_errors, sync_folder
from indexer.stores.opening import announce, dispose

__all__ = [
    "POINTER_FILE",
    "GenerationRecord",
    "Generations",
    "forget_previous",
    "next_number",
    "pointer_stamp",
    "previous_generation",
    "publish",
    "read_generations",
    "rollback",
    "sweep",
    "update",
    "write_first",
]

POINTER_FILE = "generations.json"

_SWEPT = ".swept-"
_ROOT_INDEX = ("index.faiss", "index.json", "index.lock", "index.faiss.damaged", "qdrant.json")


def read_generations(directory: Path) -> Generations:
    """Return what the pointer in a collection's directory says.

    Raises:
        FormatVersionError: a newer version of the program wrote it.
        StorageError: it cannot be read.
    """
    path = directory / POINTER_FILE
    if not path.exists() and read_identity(directory).format_version == 1:
        return Generations(GenerationRecord(0, ROOT_CONTENT))
    values = read_values(path, directory.name)
    try:
        return Generations.from_dict(values)
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, directory.name, error) from error


def pointer_stamp(directory: Path) -> tuple[int, ...] | None:
    """Return what changes whenever the pointer does; None where there is none."""
    try:
        status = (directory / POINTER_FILE).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def next_number(directory: Path) -> int:
    """Return a number for a new generation that no folder or record has."""
    numbers = [record.number for record in read_generations(directory).all]
    numbers += [int(match[2]) for _, match in _folders(directory)]
    return max(numbers) + 1


def write_first(directory: Path, record: GenerationRecord) -> None:
    """Write the pointer of a collection that is being made."""
    _write(directory, Generations(record))


def publish(
    directory: Path, record: GenerationRecord, *, dropped: str | None = None
) -> Generations:
    """Make a generation live in one step; the one that was live becomes the previous one.

    Its folders must be complete and on the disk. The caller holds the collection's write lock.

    Args:
        directory: the collection's directory.
        record: the new generation.
        dropped: a content that is damaged, to which no rollback shall return.

    Raises:
        StorageError: the pointer cannot be written; the old generation stays live.
    """
    before = read_generations(directory)
    if record.number in {kept.number for kept in before.all}:
        raise ValueError(f"generation {record.number} is there already")
    for folder in (record.content_directory(directory), record.index_directory(directory)):
        if not folder.is_dir():
            raise StorageError(f"{folder} is missing; generation {record.number} is not published")
        with disk_errors(folder, needed=0):
            sync_folder(folder)
    _leave_format_1(directory)
    kept = [one for one in before.all if one.content != dropped]
    after = Generations(record, kept[0] if kept else None)
    _write(directory, after)
    announce(directory, after)
    return after


def forget_previous(directory: Path) -> Generations:
    """Leave no generation to roll back to, as where that one is damaged.

    The caller holds the collection's write lock.

    Raises:
        StorageError: the pointer cannot be written.
    """
    after = Generations(read_generations(directory).live)
    _write(directory, after)
    return after


def previous_generation(directory: Path) -> GenerationRecord:
    """Return the generation to which ``rollback`` would return.

    Raises:
        UsageError: there is none.
    """
    previous = read_generations(directory).previous
    if previous is None:
        raise UsageError(
            f"collection {directory.name!r} has no previous generation to return to; the next "
            f"`gircse reindex {directory.name}` keeps the present one as the previous"
        )
    return previous


def rollback(directory: Path) -> Generations:
    """Make the previous generation live in one step, and the live one the previous.

    The caller holds the collection's write lock and has seen that the previous one is sound.

    Raises:
        UsageError: there is no previous generation.
        StorageError: the pointer cannot be written; nothing changed.
    """
    after = Generations(previous_generation(directory), read_generations(directory).live)
    _write(directory, after)
    announce(directory, after)
    return after


def update(directory: Path, record: GenerationRecord) -> Generations:
    """Replace what the pointer says of one generation: what was measured, and why it was made.

    The caller holds the collection's write lock.

    Raises:
        StorageError: the pointer cannot be written.
        ValueError: no such generation is kept, or it is of another content or store.
    """
    before = read_generations(directory)
    known = next((kept for kept in before.all if kept.is_same(record)), None)
    if known is None or (known.content, known.store) != (record.content, record.store):
        raise ValueError(f"there is no generation {record.number} like this")
    after = (
        Generations(record, before.previous)
        if known is before.live
        else Generations(before.live, record)
    )
    _leave_format_1(directory)
    _write(directory, after)
    return after


def sweep(directory: Path, *, keep: Names[str] = ()) -> list[str]:
    """Remove contents and indexes that belong to no generation; return their names.

    The caller has the right to rebuild: nobody else has a draft that is about to be published.

    Args:
        directory: the collection's directory.
        keep: names of folders to leave alone, such as a draft that can be gone on with.
    """
    kept = read_generations(directory).all
    used = {record.content for record in kept}
    used |= {record.index_directory(directory).name for record in kept if record.number}
    unused = [path for path, _ in _folders(directory) if path.name not in {*used, *keep}]
    if ROOT_CONTENT not in used:
        unused += _root_content(directory)
    if all(record.number for record in kept):
        unused += [directory / name for name in _ROOT_INDEX]
    for path in unused:
        dispose(path)
    removed = [path.name for path in unused if _remove(path)]
    for path in directory.glob(f"{_SWEPT}*"):
        _delete(path)
    return removed


def _folders(directory: Path) -> list[tuple[Path, re.Match[str]]]:
    with disk_errors(directory, needed=0), os.scandir(directory) as listing:
        found = [(Path(item.path), FOLDER_NAME.fullmatch(item.name)) for item in listing]
    return sorted((path, match) for path, match in found if match is not None)


def _write(directory: Path, generations: Generations) -> None:
    write_sealed(directory / POINTER_FILE, generations.as_dict())


def _leave_format_1(directory: Path) -> None:
    """Move what ``collection.json`` of format 1 says to where format 2 looks for it.

    Killed between any two steps it reads the same. Older programs refuse the collection from the
    last step on, before they could search a content that is not live any more.
    """
    identity = read_identity(directory)
    if identity.format_version == 1:
        generations = read_generations(directory)
        write_settings(directory, read_settings(directory, directory))
        _write(directory, generations)
        write_identity(directory, identity)


def _root_content(directory: Path) -> list[Path]:
    names = [SETTINGS_FILE, "vectors", DATABASE_FILE]
    names += [f"{DATABASE_FILE}-{suffix}" for suffix in ("wal", "shm")]
    return [*(directory / name for name in names), seal_path(directory / DATABASE_FILE)]


def _remove(path: Path) -> bool:
    """Remove a file or folder; a kill leaves no half of it under its name."""
    aside = path.with_name(f"{_SWEPT}{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    except OSError:
        return False  # this user may not; nothing depends on it
    _delete(aside)
    return True


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
