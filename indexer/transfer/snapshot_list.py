"""The snapshots that a collection has: what each says of itself, and where it is.

Each is a folder under ``snapshots`` in the collection's directory: a content with its index, and
``snapshot.json``.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from indexer.collections.generation_record import GenerationRecord
from indexer.errors import UsageError
from indexer.storage.sealed_json import read_sealed, write_sealed
from indexer.storage.segments import disk_errors

__all__ = [
    "INDEX_FOLDER",
    "SNAPSHOTS_FOLDER",
    "SNAPSHOT_FILE",
    "Snapshot",
    "check_snapshot_name",
    "describe_snapshot",
    "find_snapshot",
    "list_snapshots",
    "read_snapshot",
]

SNAPSHOTS_FOLDER = "snapshots"
SNAPSHOT_FILE = "snapshot.json"
INDEX_FOLDER = "index"

_FORMAT_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a snapshot.

    Args:
        name: its name.
        made_at: seconds since the epoch.
        documents: how many it holds.
        chunks: their passages.
        own_bytes: what deleting it frees, shared files left out.
        generation: the generation that was live.
        problem: why it cannot be read; empty when all is well.
    """

    name: str
    made_at: float
    documents: int
    chunks: int
    own_bytes: int
    generation: GenerationRecord | None
    problem: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "name": self.name,
            "made_at": self.made_at,
            "documents": self.documents,
            "chunks": self.chunks,
            "own_bytes": self.own_bytes,
            "problem": self.problem or None,
        }


def list_snapshots(directory: Path) -> list[Snapshot]:
    """Return all snapshots of a collection, oldest first; damaged ones tell their problem.

    Args:
        directory: the collection's directory.
    """
    folder = directory / SNAPSHOTS_FOLDER
    if not folder.is_dir():
        return []
    with disk_errors(folder, needed=0):
        found = [path for path in folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name)]
    return sorted((read_snapshot(path) for path in found), key=lambda one: (one.made_at, one.name))


def find_snapshot(directory: Path, name: str) -> tuple[Snapshot, Path]:
    """Return a snapshot of a collection with its folder.

    Raises:
        UsageError: there is none of that name; the message has those there are.
    """
    snapshots = list_snapshots(directory)
    for snapshot in snapshots:
        if snapshot.name == name:
            return snapshot, directory / SNAPSHOTS_FOLDER / name
    names = ", ".join(snapshot.name for snapshot in snapshots) or "none yet"
    raise UsageError(f"collection {directory.name!r} has no snapshot {name!r}; there are: {names}")


def check_snapshot_name(name: str) -> None:
    """Check that a name can be a snapshot's.

    Raises:
        UsageError: it cannot; the message says what names may be.
    """
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise UsageError(
            f"{name!r} cannot be a snapshot's name: use 1 to 64 of the characters "
            "A-Z a-z 0-9 . _ - with no dot at either end"
        )


def describe_snapshot(
    folder: Path, *, documents: int, chunks: int, generation: GenerationRecord
) -> None:
    """Write what a snapshot says of itself.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    write_sealed(
        folder / SNAPSHOT_FILE,
        {
            "format_version": _FORMAT_VERSION,
            "made_at": time.time(),
            "documents": documents,
            "chunks": chunks,
            "generation": generation.as_dict(),
        },
    )


def read_snapshot(folder: Path) -> Snapshot:
    """Return what the snapshot in a folder says of itself, or why it cannot be read."""
    size = _own_bytes(folder)
    try:
        values = read_sealed(folder / SNAPSHOT_FILE)
        version = values["format_version"]
        if not isinstance(version, int) or version > _FORMAT_VERSION:
            raise ValueError(f"it has format {version}; upgrade gircse-search to read it")
        made_at, documents, chunks = values["made_at"], values["documents"], values["chunks"]
        if not isinstance(made_at, int | float):
            raise ValueError("'made_at' must be a number")
        if not isinstance(documents, int) or not isinstance(chunks, int):
            raise ValueError("'documents' and 'chunks' must be whole numbers")
        generation = values["generation"]
        if not isinstance(generation, dict):
            raise ValueError("'generation' must be an object")
        record = GenerationRecord.from_dict(generation)
    except (OSError, KeyError, TypeError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        problem = f"{folder / SNAPSHOT_FILE} cannot be read: {cause}"
        return Snapshot(folder.name, 0.0, 0, 0, size, None, problem)
    return Snapshot(folder.name, made_at, documents, chunks, size, record)


def _own_bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                status = (Path(parent) / name).stat()
                total += status.st_size if status.st_nlink == 1 else 0
    return total
