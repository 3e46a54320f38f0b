"""Copies a content as it is at one moment, while others search and index.

Full files of vectors never change, so they are linked where the file system can; the database and
the last file of vectors, which grow, are copied.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from indexer.collections.config import DATABASE_FILE, ContentSettings, write_settings
from indexer.storage.archive import ArchiveFile, VectorArchive
from indexer.storage.connections import connect, sqlite_errors, tidy, wal_file
from indexer.storage.database import Database
from indexer.storage.segments import disk_errors, sync_folder

__all__ = ["OnPart", "back_up", "copy_content", "copy_vectors", "link_or_copy", "sync_file"]

OnPart = Callable[[int, int], None]
"""Told how many bytes are copied, and of how many."""

_PAGES_PER_STEP = 4096
_BUFFER_BYTES = 2**20


def copy_content(
    source: Path,
    target: Path,
    settings: ContentSettings,
    *,
    on_part: OnPart = lambda done, of: None,
) -> None:
    """Copy a content into a new folder.

    Args:
        source: the content's folder; others may write to it meanwhile.
        target: a folder that is not there yet; what is left of it after an error is nobody's.
        settings: what the content's vectors were made with.
        on_part: told how far the copy of the database is.

    Raises:
        StorageError: the disk is full, or the content cannot be read.
    """
    with disk_errors(target, needed=0):
        target.mkdir()
    write_settings(target, settings)
    back_up(source / DATABASE_FILE, target / DATABASE_FILE, on_part=on_part)
    # The rows that the copied database knows were on the disk before it was copied.
    with closing(Database(target / DATABASE_FILE)) as database:
        with closing(VectorArchive(source, database, dim=settings.dim)) as archive:
            copy_vectors(archive, target / "vectors")
        database.seal()
    with disk_errors(target, needed=0):
        sync_folder(target)
        sync_folder(target.parent)


def back_up(source: Path, target: Path, *, on_part: OnPart = lambda done, of: None) -> None:
    """Copy a database as it is at one moment.

    Raises:
        StorageError: the disk is full, or the database cannot be read.
    """
    reading = connect(source, read_only=True)
    try:
        (page_bytes,) = reading.execute("PRAGMA page_size").fetchone()

        def told(_status: int, remaining: int, total: int) -> None:
            on_part((total - remaining) * page_bytes, total * page_bytes)

        with sqlite_errors(target), _writing(target) as writing:
            # In a transaction of its own: else each commit of others would begin the copy anew.
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            reading.backup(writing, pages=_PAGES_PER_STEP, progress=told)
    finally:
        reading.close()
        if not wal_file(source).exists() or not wal_file(source).stat().st_size:
            tidy(source)
    sync_file(target)


def copy_vectors(archive: VectorArchive, folder: Path) -> None:
    """Copy an archive's files into a new folder.

    Raises:
        StorageError: the disk is full, or a file cannot be read.
    """
    with disk_errors(folder, needed=0):
        folder.mkdir()
        for file in archive.files():
            target = folder / file.path.name
            if not file.is_full:
                _write(archive, file, target)
            elif not link_or_copy(file.path, target):
                sync_file(target)
        sync_folder(folder)


def link_or_copy(source: Path, target: Path) -> bool:
    """Give a file that never changes a second name; return False where it had to be copied.

    Raises:
        OSError: neither was possible.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
        return False
    return True


def sync_file(path: Path) -> None:
    """Make a written file survive a power cut."""
    with disk_errors(path, needed=0):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()


def _write(archive: VectorArchive, file: ArchiveFile, target: Path) -> None:
    with target.open("wb", buffering=_BUFFER_BYTES) as stream:
        for part in archive.content(file):
            stream.write(part)
        stream.flush()
        os.fsync(stream.fileno())
