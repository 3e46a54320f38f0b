"""Reads a file's bytes once, whole and unchanged, and nothing that is not a regular file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import ExtractionError
from indexer.file_times import modified_ns

__all__ = ["FileContent", "FileFacts", "read_file"]

_ATTEMPTS = 2
_BLOCK_BYTES = 1024 * 1024
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFDIR: "a folder",
}


@dataclass(slots=True)
class FileFacts:
    """Size and time of modification, filled in as soon as they are known."""

    size: int = 0
    mtime_ns: int = 0

    def set(self, status: os.stat_result) -> None:
        """Take them over from a file's status."""
        self.size, self.mtime_ns = status.st_size, modified_ns(status)


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a file as it was at one moment.

    Args:
        data: all of them.
        size: their number.
        mtime_ns: time of modification at that moment.
    """

    data: bytes
    size: int
    mtime_ns: int


def read_file(path: Path, *, max_bytes: int, facts: FileFacts | None = None) -> FileContent:
    """Read a regular file; a second time when it changed meanwhile.

    Args:
        path: the file.
        max_bytes: larger files are refused.
        facts: receives size and time also when reading fails.

    Raises:
        ExtractionError: ``missing``, ``unreadable``, ``not_a_file``, ``too_large`` or ``changed``.
    """
    facts = facts or FileFacts()
    try:
        for _ in range(_ATTEMPTS):
            content = _read_once(path, max_bytes, facts)
            if content is not None:
                return content
    except FileNotFoundError as error:
        raise ExtractionError(
            "missing", "there is no such file any more", hint="index again to bring up to date"
        ) from error
    except PermissionError as error:
        raise ExtractionError(
            "unreadable",
            f"permission to read it is denied ({error.strerror})",
            hint="allow this user to read the file, or exclude it",
        ) from error
    except OSError as error:
        raise ExtractionError(
            "unreadable",
            f"the system cannot read it: {error.strerror or error}",
            hint="check the disk or network share, then index again",
        ) from error
    raise ExtractionError(
        "changed",
        "it was being written while it was read, twice",
        hint="index again when it is finished",
    )


def _read_once(path: Path, max_bytes: int, facts: FileFacts) -> FileContent | None:
    """Return the content, or None when it changed during reading."""
    # asked before opening, because opening some devices does something
    _check_regular(path.stat())
    # and opened without blocking, because a pipe may have taken the file's place meanwhile
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        before = os.fstat(descriptor)
        facts.set(before)
        _check_regular(before)
        _check_size(before.st_size, max_bytes)
        data = _read_all(descriptor, before.st_size)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return None
    if len(data) != before.st_size:
        return None
    return FileContent(data, before.st_size, modified_ns(before))


def _read_all(descriptor: int, size: int) -> bytes:
    """Read up to one byte more than ``size``, so that growth shows."""
    blocks: list[bytes] = []
    left = size + 1
    while left > 0 and (block := os.read(descriptor, min(left, _BLOCK_BYTES))):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something special")
        raise ExtractionError(
            "not_a_file", f"it is {kind}, not a file with content", hint="exclude it"
        )


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ExtractionError(
            "too_large",
            f"it has {size:,} bytes; at most {max_bytes:,} are read",
            hint="split the file into smaller ones, or exclude it",
        )
