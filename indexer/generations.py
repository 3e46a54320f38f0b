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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from indexer.collection_config import (
    DATABASE_FILE,
    SETTINGS_FILE,
    read_identity,
    read_settings,
    read_values,
    unreadable,
    write_identity,
    write_settings,
)
from indexer.errors import StorageError, UsageError
from indexer.sealed_json import write_sealed
from indexer.segments import disk_errors, sync_folder

__all__ = [
    "POINTER_FILE",
    "GenerationRecord",
    "Generations",
    "next_number",
    "pointer_stamp",
    "publish",
    "read_generations",
    "rollback",
    "sweep",
    "update",
    "write_first",
]

POINTER_FILE = "generations.json"

_ROOT_CONTENT = "."
_OF_A_GENERATION = re.compile(r"(content|index)-(\d+)")
_SWEPT = ".swept-"
_ROOT_INDEX = ("index.faiss", "index.json", "index.lock", "index.faiss.damaged", "qdrant.json")


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """What the pointer says of one generation.

    Args:
        number: grows from one to the next; 0 is what a collection of format 1 has in its own
            directory.
        content: name of its content's folder; ``"."`` is the collection's directory.
        store: what searches it, ``"faiss"`` or ``"qdrant"``.
        index: type of its index, as ``indexer.stores.index_types`` names it.
        made_at: when it was made, seconds since the epoch.
        measured: recall, latency and size as measured after it was built; None when they were not.
        why: why this index type, in words; empty where nobody chose.
    """

    number: int
    content: str
    store: str = "faiss"
    index: str = "flat"
    made_at: float = 0.0
    measured: Mapping[str, object] | None = None
    why: str = ""

    def __post_init__(self) -> None:
        match = _OF_A_GENERATION.fullmatch(self.content)
        if self.content != _ROOT_CONTENT and (match is None or match[1] != "content"):
            raise ValueError(f"{self.content!r} is no folder of a content")
        if self.number < 0 or (self.number == 0 and self.content != _ROOT_CONTENT):
            raise ValueError(f"{self.number} cannot be the number of a generation")

    def content_directory(self, directory: Path) -> Path:
        """Return the folder of its content in a collection's directory."""
        return directory / self.content

    def index_directory(self, directory: Path) -> Path:
        """Return the folder of its index in a collection's directory."""
        return directory / f"index-{self.number}" if self.number else directory

    def is_same(self, other: GenerationRecord) -> bool:
        """Return whether both are about one generation, whatever was measured meanwhile."""
        return (self.number, self.made_at) == (other.number, other.made_at)


@dataclass(frozen=True, slots=True)
class Generations:
    """What the pointer says.

    Args:
        live: the generation that is searched.
        previous: the one before it, to which ``rollback`` returns; None when there is none.
    """

    live: GenerationRecord
    previous: GenerationRecord | None = None

    @property
    def all(self) -> tuple[GenerationRecord, ...]:
        """Those that are kept, the live one first."""
        return (self.live,) if self.previous is None else (self.live, self.previous)


def read_generations(directory: Path) -> Generations:
    """Return what the pointer in a collection's directory says.

    Raises:
        FormatVersionError: a newer version of the program wrote it.
        StorageError: it cannot be read.
    """
    path = directory / POINTER_FILE
    if not path.exists() and read_identity(directory).format_version == 1:
        return Generations(GenerationRecord(0, _ROOT_CONTENT))
    values = read_values(path, directory.name)
    try:
        return _generations(values)
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


def publish(directory: Path, record: GenerationRecord) -> Generations:
    """Make a generation live in one step; the one that was live becomes the previous one.

    Its folders must be complete and on the disk. The caller holds the collection's write lock.

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
    after = Generations(record, before.live)
    _write(directory, after)
    return after


def rollback(directory: Path) -> Generations:
    """Make the previous generation live in one step, and the live one the previous.

    The caller holds the collection's write lock and has seen that the previous one is sound.

    Raises:
        UsageError: there is no previous generation.
        StorageError: the pointer cannot be written; nothing changed.
    """
    before = read_generations(directory)
    if before.previous is None:
        raise UsageError(
            f"collection {directory.name!r} has no previous generation to return to; `gircse "
            f"reindex {directory.name}` makes a new one and keeps the present one as the previous"
        )
    after = Generations(before.previous, before.live)
    _write(directory, after)
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
    if _ROOT_CONTENT not in used:
        unused += _root_content(directory)
    if all(record.number for record in kept):
        unused += [directory / name for name in _ROOT_INDEX]
    removed = [path.name for path in unused if _remove(path)]
    for path in directory.glob(f"{_SWEPT}*"):
        _delete(path)
    return removed


def _folders(directory: Path) -> list[tuple[Path, re.Match[str]]]:
    with disk_errors(directory, needed=0), os.scandir(directory) as listing:
        found = [(Path(item.path), _OF_A_GENERATION.fullmatch(item.name)) for item in listing]
    return sorted((path, match) for path, match in found if match is not None)


def _generations(values: Mapping[str, object]) -> Generations:
    listed = values["generations"]
    if not isinstance(listed, list):
        raise ValueError("'generations' must be a list")
    records = {record.number: record for record in map(_record, listed)}
    live, previous = values["live"], values.get("previous")
    for number in (live, previous):
        if number is not None and number not in records:
            raise ValueError(f"generation {number} is not listed")
    if not isinstance(live, int):
        raise ValueError("'live' must be a number")
    return Generations(records[live], records[previous] if isinstance(previous, int) else None)


def _record(values: object) -> GenerationRecord:
    if not isinstance(values, dict):
        raise ValueError("every generation must be an object")
    known = {field.name for field in fields(GenerationRecord)}
    record = GenerationRecord(**{name: values[name] for name in values if name in known})
    is_right = (
        isinstance(record.number, int)
        and all(isinstance(text, str) for text in (record.store, record.index, record.why))
        and isinstance(record.made_at, int | float)
        and (record.measured is None or isinstance(record.measured, dict))
    )
    if not is_right:
        raise ValueError(f"generation {record.number} has a value of the wrong kind")
    return record


def _write(directory: Path, generations: Generations) -> None:
    previous = generations.previous
    write_sealed(
        directory / POINTER_FILE,
        {
            "live": generations.live.number,
            "previous": None if previous is None else previous.number,
            "generations": [asdict(record) for record in generations.all],
        },
    )


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
    return [directory / name for name in names]


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
