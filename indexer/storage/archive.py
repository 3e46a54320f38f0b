"""The embeddings of a collection: append-only rows of vectors, found by the hash of their text.

They cost the computing time, so they are kept apart from every index, which can be rebuilt from
them. Knows no documents; which chunk uses which row is the store's affair.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import StorageError
from indexer.storage.database import Database
from indexer.storage.segments import SEGMENT_ROWS, Segments, VectorType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ArchiveFile", "DamagedRows", "VectorArchive", "check_vectors"]

_UNIT_TOLERANCE = 1e-3
_HASHES_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class DamagedRows:
    """Rows of one file that are not what was written.

    Args:
        path: the file.
        first_row: first of the rows, counted over the whole archive.
        last_row: last of them.
        reason: what is wrong.
    """

    path: Path
    first_row: int
    last_row: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: rows {self.first_row} to {self.last_row}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One of the files of an archive.

    Args:
        path: where it is.
        first_row: its first row, counted over the whole archive.
        rows: how many of its rows are recorded.
    """

    path: Path
    first_row: int
    rows: int

    @property
    def is_full(self) -> bool:
        """Whether it has all the rows that it ever will; such a file never changes again."""
        return self.rows == SEGMENT_ROWS


class VectorArchive:
    """Embeddings under ``<directory>/vectors``, one row each, with their hashes in the database.

    A row is recorded only after its vector is on the disk; what lies beyond the recorded rows was
    left by a killed writer and is overwritten. Safe to share between threads and processes.

    Args:
        directory: the collection's directory.
        database: the collection's database.
        dim: width D of the vectors; None takes it from the first ones.
        vectors: the type of number that an archive without vectors is to keep them in; one that
            has some stays with its own. None stands for ``"fp32"``; ``"fp16"`` takes half the room
            and moves a cosine by some 1e-4 at most.

    Raises:
        StorageError: the archive holds vectors of another width.
    """

    def __init__(
        self,
        directory: Path,
        database: Database,
        *,
        dim: int | None = None,
        vectors: VectorType | None = None,
    ) -> None:
        self._database = database
        self._recorded = 0
        with database.read() as connection:
            stored = _stored_dim(connection)
            self.vectors: VectorType = _stored_type(connection) or vectors or "fp32"
        self._segments = Segments(directory / "vectors", self.vectors)
        if dim and stored and dim != stored:
            raise StorageError(
                f"{self._segments.folder} holds vectors of width {stored}, not {dim}; "
                "use the model that the collection was made with"
            )
        self._dim = stored or dim or 0

    @property
    def dim(self) -> int:
        """Width D of the vectors; 0 while it is empty and was not told."""
        if not self._dim:
            with self._database.read() as connection:
                self._dim = _stored_dim(connection)
        return self._dim

    def __len__(self) -> int:
        with self._database.read() as connection:
            return _row_count(connection)

    def lookup(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Return the row of each hash that is there; the others are left out."""
        with self._database.read() as connection:
            return _rows_of(connection, hashes)

    def hashes(self) -> Iterator[bytes]:
        """Yield the hash of every text that has a vector, in no order."""
        with self._database.read() as connection:
            for (key,) in connection.execute("SELECT hash FROM vectors"):
                yield key

    def append(self, hashes: Sequence[bytes], vectors: NDArray[np.float32]) -> list[int]:
        """Keep vectors under their hashes and return their rows, in input order.

        A hash that is there already keeps its vector, and of equal hashes the first one counts.

        Args:
            hashes: N keys, as ``documents.text_hash`` makes them.
            vectors: (N, D) float32, unit length.

        Raises:
            ValueError: a wrong shape or type, or a vector that is not finite or not unit length.
            StorageError: the disk is full or cannot be written; nothing was recorded.
        """
        check_vectors(vectors, dim=self.dim)
        if len(hashes) != len(vectors):
            raise ValueError(f"{len(hashes)} hashes for {len(vectors)} vectors")
        # The files are written inside the transaction: no other writer can choose the same rows.
        with self._database.write() as connection:
            rows = _rows_of(connection, hashes)
            first_row = _row_count(connection)
            picked: list[int] = []
            for position, text_hash in enumerate(hashes):
                if text_hash not in rows:
                    rows[text_hash] = first_row + len(picked)
                    picked.append(position)
            if picked:
                _record_form(connection, vectors.shape[1], self.vectors)
                for batch in self._segments.write(first_row, vectors[picked]):
                    connection.execute(
                        "INSERT INTO vector_batches VALUES (?, ?, ?)",
                        (batch.first_row, batch.count, batch.sha256),
                    )
                connection.executemany(
                    "INSERT INTO vectors (hash, row) VALUES (?, ?)",
                    [(hashes[position], rows[hashes[position]]) for position in picked],
                )
        return [rows[text_hash] for text_hash in hashes]

    def read(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the (N, D) vectors of rows, in the order asked for.

        Float32 of unit length, whatever they are kept in: reading them and keeping them again in
        another archive of the same type gives the same bytes.

        Raises:
            IndexError: a row that was never recorded.
            StorageError: a file is missing, cut off, or holds something other than unit vectors.
        """
        import numpy as np

        wanted = np.asarray(rows, dtype=np.int64)
        self._check_recorded(wanted)
        order = np.argsort(wanted, kind="stable")
        ascending = wanted[order]
        vectors = np.empty((len(wanted), self.dim), dtype=np.float32)
        # Neighbours in one file are read at once; each run is [begin, end) of `ascending`.
        breaks = np.flatnonzero((np.diff(ascending) != 1) | (ascending[1:] % SEGMENT_ROWS == 0)) + 1
        for begin, end in zip([0, *breaks], [*breaks, len(wanted)], strict=True):
            if begin < end:
                parts = self._segments.read(int(ascending[begin]), int(end - begin), dim=self.dim)
                run = np.frombuffer(b"".join(parts), dtype=self._segments.numpy_type)
                vectors[order[begin:end]] = run.reshape(-1, self.dim)
        self._check_read(wanted, vectors)
        if self.vectors == "fp16":  # rounding made them a little longer or shorter
            vectors /= np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, np.newaxis]
        return vectors

    def verify(self) -> list[DamagedRows]:
        """Compare every vector on the disk with the checksum taken when it was written."""
        with self._database.read() as connection:
            batches = connection.execute(
                "SELECT first_row, rows, sha256 FROM vector_batches ORDER BY first_row"
            ).fetchall()
            recorded = _row_count(connection)
        damaged = []
        next_row = 0
        for first_row, count, digest in batches:
            reason = "" if first_row == next_row else f"expected to start at row {next_row}"
            reason = reason or self._damage(first_row, count, digest)
            if reason:
                path = self._segments.path(first_row)
                damaged.append(DamagedRows(path, first_row, first_row + count - 1, reason))
            next_row = first_row + count
        if next_row != recorded:
            path = self._segments.path(next_row)
            damaged.append(DamagedRows(path, next_row, recorded - 1, "no checksum was recorded"))
        return damaged

    def files(self) -> list[ArchiveFile]:
        """Return the files that hold the recorded rows, in order."""
        recorded = len(self)
        return [
            ArchiveFile(
                self._segments.path(first_row), first_row, min(recorded - first_row, SEGMENT_ROWS)
            )
            for first_row in range(0, recorded, SEGMENT_ROWS)
        ]

    def content(self, file: ArchiveFile) -> Iterator[bytes]:
        """Yield a file's bytes in parts, without rows that were not recorded.

        Raises:
            StorageError: it is missing or cut off.
        """
        return self._segments.whole_file(file.first_row, file.rows, dim=self.dim)

    def header_faults(self) -> list[tuple[Path, str]]:
        """Return the files whose headers are not those that were written, with what is wrong."""
        with self._database.read() as connection:
            recorded = _row_count(connection)
        faults = []
        for first_row in range(0, recorded, SEGMENT_ROWS):
            count = min(recorded - first_row, SEGMENT_ROWS)
            try:
                fault = self._segments.header_fault(first_row, count, dim=self.dim)
            except StorageError as error:
                fault = str(error)
            if fault:
                faults.append((self._segments.path(first_row), fault))
        return faults

    def close(self) -> None:
        """Close the files; may be called twice, and reading opens them again."""
        self._segments.close()

    def _check_recorded(self, rows: NDArray[np.int64]) -> None:
        if not len(rows):
            return
        if rows.max() >= self._recorded:
            self._recorded = len(self)
        if rows.min() < 0 or rows.max() >= self._recorded:
            raise IndexError(
                f"rows {rows.min()} to {rows.max()} asked for, {self._recorded} are recorded"
            )

    def _check_read(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        bad = _not_unit(vectors)
        if len(bad):
            row = int(rows[bad[0]])
            raise StorageError(
                f"{self._segments.path(row)} is damaged: row {row} and {len(bad) - 1} more are no "
                "unit vectors; restore it from a backup, or delete the collection and index again"
            )

    def _damage(self, first_row: int, count: int, digest: bytes) -> str:
        actual = hashlib.sha256()
        try:
            for part in self._segments.read(first_row, count, dim=self.dim):
                actual.update(part)
        except StorageError as error:
            return str(error)
        return "" if actual.digest() == digest else "the content differs from what was written"


def check_vectors(vectors: NDArray[np.float32], *, dim: int) -> None:
    """Check that an array is (N, D) float32 of unit vectors; ``dim`` 0 allows any width.

    Raises:
        ValueError: it is not; the message names the first bad vector.
    """
    import numpy as np

    if vectors.dtype != np.float32 or vectors.ndim != 2:
        raise ValueError(f"vectors must be (N, D) float32, not {vectors.shape} {vectors.dtype}")
    if vectors.shape[1] == 0 or (dim and vectors.shape[1] != dim):
        raise ValueError(f"vectors must have width {dim or 'above 0'}, not {vectors.shape[1]}")
    bad = _not_unit(vectors)
    if len(bad):
        length = np.linalg.norm(vectors[bad[0]])
        raise ValueError(
            f"vector {bad[0]} has length {length:.6g}, not 1, and {len(bad) - 1} more are not unit"
        )


def _not_unit(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the positions of vectors that are not finite or not of length 1."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        return np.flatnonzero(~(np.abs(lengths - 1.0) <= _UNIT_TOLERANCE))  # NaN is not <=


def _row_count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT ifnull(max(row) + 1, 0) FROM vectors").fetchone()[0])


def _stored_dim(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT value FROM state WHERE name = 'dim'").fetchone()
    return int(found[0]) if found else 0


def _stored_type(connection: sqlite3.Connection) -> VectorType | None:
    found = connection.execute("SELECT value FROM state WHERE name = 'vectors'").fetchone()
    if found is None:  # what was made before there was a choice
        return "fp32" if _stored_dim(connection) else None
    return "fp16" if found[0] == "fp16" else "fp32"


def _record_form(connection: sqlite3.Connection, dim: int, vectors: VectorType) -> None:
    if not _stored_dim(connection):
        connection.execute("INSERT INTO state VALUES ('dim', ?), ('vectors', ?)", (dim, vectors))
    stored = _stored_dim(connection), _stored_type(connection)
    if stored != (dim, vectors):
        raise ValueError(f"vectors must have width {stored[0]} in {stored[1]}, not {dim}")


def _rows_of(connection: sqlite3.Connection, hashes: Sequence[bytes]) -> dict[bytes, int]:
    rows: dict[bytes, int] = {}
    for begin in range(0, len(hashes), _HASHES_PER_QUERY):
        part = hashes[begin : begin + _HASHES_PER_QUERY]
        marks = ",".join("?" * len(part))
        rows.update(
            connection.execute(f"SELECT hash, row FROM vectors WHERE hash IN ({marks})", part)
        )
    return rows
