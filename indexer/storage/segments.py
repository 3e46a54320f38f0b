"""Files of vectors: ``00000.npy``, ``00001.npy`` … with a fixed number of rows each.

Knows bytes and disks. Which rows count, and what they belong to, is recorded elsewhere.

Why .npy and not Arrow, Parquet or safetensors: its header has a fixed size, so that rows can be
added at the end and the file is whole after every batch, where the others are written once and need
their index or footer anew; a row is at a place that can be computed, so that one is read without
the others; and anybody can read every file with ``numpy.load(path, mmap_mode="r")``, without this
program and without a library that has to be kept up with.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from indexer.errors import StorageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "NUMPY_TYPES",
    "SEGMENT_ROWS",
    "Segments",
    "VectorType",
    "WrittenRows",
    "disk_errors",
    "free_space",
    "sync_folder",
]

VectorType = Literal["fp32", "fp16"]

NUMPY_TYPES: dict[VectorType, str] = {"fp32": "<f4", "fp16": "<f2"}
"""What numpy calls each type of number that vectors are kept in."""

SEGMENT_ROWS = 65_536
"""Vectors per file."""

_HEADER_BYTES = 128
_STATED_ROWS = re.compile(rb"'shape': \((\d{1,18}), ")
_LARGEST_READ = 64 * 2**20  # bytes per system call, and so held twice


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """Consecutive rows of one file, as written."""

    first_row: int
    count: int
    sha256: bytes


class Segments:
    """Rows of numbers, little-endian, spread over the files of a folder. Safe between threads.

    Rows are numbered over all files. Nothing is ever cut off or moved; a row may be written again.

    Args:
        folder: where the files are.
        vectors: the type of number, the same in all of them.
    """

    def __init__(self, folder: Path, vectors: VectorType) -> None:
        self.folder = folder
        self.numpy_type = NUMPY_TYPES[vectors]
        self._item_bytes = int(self.numpy_type[-1])
        self._readers: dict[int, _Reader] = {}
        self._paths: dict[int, Path] = {}  # to make one takes longer than to read a row
        self._opening = threading.Lock()

    def path(self, row: int) -> Path:
        """Return the file of a row."""
        segment = row // SEGMENT_ROWS
        if segment not in self._paths:
            self._paths[segment] = self.folder / f"{segment:05d}.npy"
        return self._paths[segment]

    def write(self, first_row: int, vectors: NDArray[np.float32]) -> Iterator[WrittenRows]:
        """Write (N, D) vectors from ``first_row`` on; yield what is on the disk, file by file.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        dim = vectors.shape[1]
        written = 0
        while written < len(vectors):
            row = first_row + written
            local_row = row % SEGMENT_ROWS
            count = min(len(vectors) - written, SEGMENT_ROWS - local_row)
            content = vectors[written : written + count].astype(self.numpy_type).tobytes()
            header = self._header(local_row + count, dim)
            with disk_errors(self.path(row), needed=len(content)):
                _write_rows(self.path(row), content, self._offset(row, dim), header=header)
            yield WrittenRows(row, count, hashlib.sha256(content).digest())
            written += count

    def read(self, first_row: int, count: int, *, dim: int) -> Iterator[bytes]:
        """Yield the bytes of rows of one file, in parts.

        Raises:
            StorageError: the file is missing or cut off.
        """
        # pread, not a memory map: on a file that was cut off a map ends the process with SIGBUS.
        path, offset = self.path(first_row), self._offset(first_row, dim)
        remaining = count * dim * self._item_bytes
        with disk_errors(path, needed=0):
            reader = self._reader(first_row // SEGMENT_ROWS, path)
            while remaining:
                part = os.pread(reader.descriptor, min(remaining, _LARGEST_READ), offset)
                if not part:
                    raise StorageError(
                        f"{path} is cut off at {offset:,} bytes, {remaining:,} more are recorded; "
                        "restore it from a backup, or delete the collection and index again"
                    )
                yield part
                offset += len(part)
                remaining -= len(part)

    def whole_file(self, first_row: int, count: int, *, dim: int) -> Iterator[bytes]:
        """Yield a file, header first, as if it had just its first ``count`` rows.

        Raises:
            StorageError: the file is missing or cut off.
        """
        yield self._header(count, dim)
        yield from self.read(first_row, count, dim=dim)

    def header_fault(self, first_row: int, count: int, *, dim: int) -> str:
        """Return what is wrong with the header of a file; nothing when all is well.

        Args:
            first_row: the first row of the file.
            count: how many rows of it are recorded; a killed writer may have left more.
            dim: width of the rows.

        Raises:
            StorageError: the file is missing or cannot be read.
        """
        path = self.path(first_row)
        with disk_errors(path, needed=0):
            reader = self._reader(first_row // SEGMENT_ROWS, path)
            header = os.pread(reader.descriptor, _HEADER_BYTES, 0)
            size = os.fstat(reader.descriptor).st_size
        stated = _STATED_ROWS.search(header)
        rows = int(stated[1]) if stated is not None else -1
        if header != self._header(rows, dim):
            return "its header is not the one that was written"
        if not count <= rows <= (size - _HEADER_BYTES) // (dim * self._item_bytes):
            return f"its header promises {rows:,} rows, {count:,} are recorded"
        return ""

    def close(self) -> None:
        """Close the files; may be called twice, and reading opens them again."""
        with self._opening:
            self._readers.clear()

    def _offset(self, row: int, dim: int) -> int:
        return _HEADER_BYTES + row % SEGMENT_ROWS * dim * self._item_bytes

    def _header(self, rows: int, dim: int) -> bytes:
        """Return the header of a .npy file, version 1.0, padded to a length that never changes.

        Source: ``numpy.lib.format``; numpy's own writer may pad otherwise from version to version.
        """
        described = (
            f"{{'descr': '{self.numpy_type}', 'fortran_order': False, 'shape': ({rows}, {dim}), }}"
        )
        text = described.ljust(_HEADER_BYTES - 11) + "\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("ascii")

    def _reader(self, segment: int, path: Path) -> _Reader:
        with self._opening:
            if segment not in self._readers:
                self._readers[segment] = _Reader(path)
            return self._readers[segment]


class _Reader:
    """A file open for reading, closed when nobody has it any more.

    Closed any earlier, its number could be given to another file while a thread reads from it.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.descriptor)


@contextmanager
def disk_errors(path: Path, *, needed: int) -> Iterator[None]:
    """Turn errors of the system into ones that say what to do about ``path``.

    Args:
        path: the file that is read or written.
        needed: bytes that were to be written; 0 where that is not known.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            wanted = f"{needed:,} bytes were needed, " if needed else ""
            raise StorageError(
                f"{path}: the disk is full: {wanted}{free_space(path)}; "
                "free some space and run it again"
            ) from error
        raise StorageError(
            f"{path}: {error.strerror}; check that the file is there, the disk is sound and this "
            "user may read and write it"
        ) from error


def free_space(path: Path) -> str:
    """Say how much more fits on the disk of a file; neither it nor its folder need be there."""
    for folder in path.parents:
        try:
            return f"{shutil.disk_usage(folder).free:,} bytes are free"
        except OSError:
            continue
    return "free space is unknown"


def sync_folder(folder: Path) -> None:
    """Make created and renamed files of a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_rows(path: Path, content: bytes, offset: int, *, header: bytes) -> None:
    # Only the first rows make file and folder, which may be a killed writer's. Later ones find them
    # or fail; and nothing makes the folder's parent again after somebody has removed it.
    is_first = offset == _HEADER_BYTES
    if is_first:
        path.parent.mkdir(exist_ok=True)
    creating = os.O_CREAT if is_first else 0
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | creating, 0o666)
    try:
        # Content first: a header that promised more than the file holds could not be loaded.
        _write_all(descriptor, content, offset)
        _write_all(descriptor, header, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_first:
        sync_folder(path.parent)
        sync_folder(path.parent.parent)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    # pwrite, not a memory map: on a full disk a map ends the process with SIGBUS.
    remaining = memoryview(content)
    while remaining:
        written = os.pwrite(descriptor, remaining, offset)
        remaining = remaining[written:]
        offset += written
