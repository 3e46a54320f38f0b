"""A database's seal: the checksum of its file, there exactly while nobody has written since.

SQLite does not notice a flipped byte in a text, and a file's time says nothing about a failing
disk. The seal does: whoever writes removes it first, inside the transaction, and whoever closes the
database puts a new one beside it. A database without one was last written by a process that was
killed, or is in use.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from indexer.storage.sealed_json import read_sealed, sealed_text, write_sealed
from indexer.storage.segments import disk_errors, sync_folder

__all__ = ["Seal", "break_seal", "file_digest", "read_seal", "seal_path", "set_seal"]

_BLOCK_BYTES = 8 * 2**20
_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class Seal:
    """What a database's file is while the seal is there.

    Args:
        size: in bytes.
        digest: ``file_digest`` of it, in hexadecimal.
    """

    size: int
    digest: str


def seal_path(database: Path) -> Path:
    """Return where the seal of a database stands."""
    return database.with_suffix(".seal.json")


def read_seal(database: Path) -> Seal | None:
    """Return the seal of a database; None where there is none.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    try:
        content = seal_path(database).read_bytes()
        values = read_sealed(seal_path(database))
    except FileNotFoundError:
        return None
    if content != sealed_text(values).encode("utf-8"):
        raise ValueError("its bytes are not those that were written")
    size, digest = values.get("size"), values.get("blocks_sha256")
    if not isinstance(size, int) or not isinstance(digest, str):
        raise ValueError("it lacks 'size' or 'blocks_sha256'")
    return Seal(size, digest)


def break_seal(database: Path) -> None:
    """Say that a database is being written; called inside the transaction, before it changes.

    Raises:
        StorageError: the seal cannot be removed.
    """
    path = seal_path(database)
    with disk_errors(path, needed=0), suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)  # a seal that came back after a power cut would accuse the disk


def set_seal(connection: sqlite3.Connection, database: Path) -> bool:
    """Write a database's seal, unless somebody is reading an older state of it or writing to it.

    Args:
        connection: outside of a transaction; used for nothing else meanwhile.
        database: its file.

    Returns:
        Whether it is sealed now.

    Raises:
        StorageError, sqlite3.Error: the disk is full, or cannot be read or written.
    """
    version = _data_version(connection)  # before the checkpoint: what comes after it counts too
    busy, frames, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy or frames:
        return False
    with disk_errors(database, needed=0):
        seal = Seal(database.stat().st_size, file_digest(database))
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Nobody can write now; if nobody did since the checkpoint, the file is what was read.
        if _data_version(connection) != version:
            return False
        write_sealed(seal_path(database), {"size": seal.size, "blocks_sha256": seal.digest})
    finally:
        connection.execute("ROLLBACK")
    return True


def file_digest(path: Path) -> str:
    """Return the SHA-256 of the SHA-256s of a file's blocks of 8 MiB, in hexadecimal.

    Block by block, so that every core takes part: 2 GB take seconds on one.

    Raises:
        OSError: it cannot be read.
    """
    total = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        threads = min(_MOST_THREADS, os.cpu_count() or 1, size // _BLOCK_BYTES + 1)
        with ThreadPoolExecutor(threads) as pool:
            for digest in pool.map(
                lambda offset: _block_digest(descriptor, offset), _offsets(size)
            ):
                total.update(digest)
    finally:
        os.close(descriptor)
    return total.hexdigest()


def _offsets(size: int) -> Iterator[int]:
    yield from range(0, size, _BLOCK_BYTES)


def _block_digest(descriptor: int, offset: int) -> bytes:
    return hashlib.sha256(os.pread(descriptor, _BLOCK_BYTES, offset)).digest()


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
