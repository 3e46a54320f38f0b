"""Copies a content's vectors into a new content, leaving out those that are damaged.

Rows keep their numbers, for passages refer to them. A damaged row loses its name, so that its text
is embedded again when its document is; until then a vector that is none any more is replaced by one
that is merely wrong, as nothing could be searched beside one that has no length.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.storage.archive import ArchiveFile, DamagedRows, VectorArchive
from indexer.storage.database import Database
from indexer.storage.segments import NUMPY_TYPES, Segments, disk_errors, sync_folder
from indexer.transfer.copying import link_or_copy, sync_file
from indexer.verification.documents import LOST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.collections.config import ContentSettings

__all__ = ["mend_vectors"]

_HEADER_BYTES = 128
_TOLERANCE = 1e-3


def mend_vectors(damaged: Path, target: Path, database: Database, settings: ContentSettings) -> int:
    """Copy what is sound of an archive.

    Args:
        damaged: folder of the damaged content; only read.
        target: folder of the new content, without vectors yet.
        database: that of the new content.
        settings: what the vectors were made with.

    Returns:
        How many rows were damaged, and lost their names.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    _name_all_rows(database, settings)
    with closing(VectorArchive(damaged, database, dim=settings.dim)) as archive:
        found = archive.verify()
        headless = {path for path, _ in archive.header_faults()}
        mended = Segments(target / "vectors", archive.vectors)
        with disk_errors(mended.folder, needed=0):
            mended.folder.mkdir()
        for file in archive.files():
            bad = [one for one in found if one.path == file.path]
            if bad:
                _rewrite(file, mended, archive, database, bad)
            elif file.is_full and file.path not in headless:
                with disk_errors(file.path, needed=0):
                    link_or_copy(file.path, mended.folder / file.path.name)
                sync_file(mended.folder / file.path.name)
            else:
                _write(archive, file, mended.folder / file.path.name)
        mended.close()
        with disk_errors(mended.folder, needed=0):
            sync_folder(mended.folder)
    return sum(one.last_row - one.first_row + 1 for one in found)


def _name_all_rows(database: Database, settings: ContentSettings) -> None:
    """Give a name that no text has to every row that lost its own, or was never found."""
    with database.write() as connection:
        connection.execute("DELETE FROM chunks WHERE row < 0 OR typeof(row) != 'integer'")
        (rows,) = connection.execute(
            "SELECT 1 + max((SELECT ifnull(max(row), -1) FROM vectors), "
            "(SELECT ifnull(max(row), -1) FROM chunks))"
        ).fetchone()
        named = {row for (row,) in connection.execute("SELECT row FROM vectors")}
        _retire(database, [row for row in range(rows) if row not in named])
        if rows:
            facts = (("dim", settings.dim), ("vectors", settings.vectors))
            connection.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", facts)


def _retire(database: Database, rows: list[int]) -> None:
    with database.write() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO vectors (row, hash) VALUES (?, ?)",
            [(row, LOST + row.to_bytes(8, "big")) for row in rows],
        )


def _rewrite(
    file: ArchiveFile,
    mended: Segments,
    archive: VectorArchive,
    database: Database,
    bad: list[DamagedRows],
) -> None:
    """Write a file anew, with what it has of unit vectors, and one checksum for all of it."""
    vectors = _usable(file, archive)
    (written,) = mended.write(file.first_row, vectors)
    after = file.first_row + file.rows
    with database.write() as connection:
        connection.execute(
            "DELETE FROM vector_batches WHERE first_row >= ? AND first_row < ?",
            (file.first_row, after),
        )
        connection.execute(
            "INSERT INTO vector_batches VALUES (?, ?, ?)",
            (written.first_row, written.count, written.sha256),
        )
        for one in bad:
            _retire(database, list(range(one.first_row, min(one.last_row + 1, after))))


def _usable(file: ArchiveFile, archive: VectorArchive) -> NDArray[np.float32]:
    """Return a file's rows, those that are no unit vectors replaced by one that is."""
    import numpy as np

    kind = np.dtype(NUMPY_TYPES[archive.vectors])
    try:
        content = file.path.read_bytes()[_HEADER_BYTES:]
    except OSError:
        content = b""
    whole = min(len(content) // (archive.dim * kind.itemsize), file.rows)
    vectors = np.zeros((file.rows, archive.dim), dtype=np.float32)
    readable = np.frombuffer(content, kind, count=whole * archive.dim)
    vectors[:whole] = readable.reshape(whole, archive.dim)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        lost = ~(np.abs(lengths - 1.0) <= _TOLERANCE)
    vectors[lost] = np.eye(1, archive.dim, dtype=np.float32)
    return vectors


def _write(archive: VectorArchive, file: ArchiveFile, target: Path) -> None:
    with disk_errors(target, needed=0), target.open("wb") as stream:
        for part in archive.content(file):
            stream.write(part)
        stream.flush()
        os.fsync(stream.fileno())
