"""The FAISS index on disk: ``index.faiss`` and, beside it, ``index.json`` that vouches for it.

The pair is derived. A pair that is damaged or belongs to another state of the database is never
used and costs nothing but a rebuild from the vector archive.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from indexer.errors import StorageError
from indexer.storage.sealed_json import write_sealed
from indexer.storage.segments import disk_errors, free_space, sync_folder
from indexer.stores.index_stamp import IndexStamp

__all__ = ["FaissObject", "IndexFile", "UnusableIndexError", "WrittenFile", "import_faiss"]

_LOCK_TIMEOUT_S = 10.0
_MOST_LOOKS = 3
_LARGE = 64 * 2**20
"""Bytes from which on a file is mapped rather than read, and is not summed again as long as size,
time and inode are those of the file that was written."""

FaissObject: TypeAlias = Any
"""Something of FAISS's, which has no types."""

logger = logging.getLogger(__name__)


def import_faiss() -> FaissObject:
    """Return the module.

    Raises:
        StorageError: it is not installed, or its build does not run here.
    """
    try:
        import faiss
    except (ImportError, RuntimeError) as error:  # the GPU build raises the latter without CUDA
        raise StorageError(
            f"FAISS cannot be loaded ({error}); install gircse-search[cpu], or [gpu] where there "
            "is a GPU, and never both; lexical search works without it"
        ) from error
    return faiss


class UnusableIndexError(Exception):
    """The file is damaged or of another kind; never leaves the store."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What was prepared: its checksum, and what the file system says of it."""

    sha256: str
    status: os.stat_result


class IndexFile:
    """The pair of files in a collection's directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / "index.faiss"
        self._stamp_path = directory / "index.json"

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep other processes from replacing the pair; False where that is not possible.

        That is: the collection was removed, this user may not write here, or another process holds
        the lock for too long.
        """
        from filelock import FileLock, Timeout

        if not self._directory.is_dir():  # the lock file would be made together with its folder
            logger.info("%s: its folder is gone", self.path)
            yield False
            return
        lock = FileLock(self._directory / "index.lock", timeout=_LOCK_TIMEOUT_S)
        try:
            lock.acquire()
        except (Timeout, OSError) as error:
            logger.info("%s: not locked: %s", self.path, error)
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def stamp(self) -> IndexStamp | None:
        """Return what ``index.json`` says; None when it is absent or makes no sense."""
        try:
            return IndexStamp.read(self._stamp_path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("%s cannot be used: %s", self._stamp_path, error)
            return None

    def damage(self) -> tuple[Path, str] | None:
        """Return which file of the pair was altered since it was written, and how; None for none.

        A pair that another process is just replacing is whole.
        """
        for _ in range(_MOST_LOOKS):
            found = self._damage()
            if found is None or found == self._damage():
                return found
        return None

    def _damage(self) -> tuple[Path, str] | None:
        try:
            content = self._stamp_path.read_bytes()
            stamp = IndexStamp.read(self._stamp_path)
        except FileNotFoundError:
            return None  # without it nobody reads the index
        except (OSError, ValueError, TypeError, KeyError) as error:
            return self._stamp_path, f"cannot be read: {error}"
        if not stamp.is_text(content):
            return self._stamp_path, "its bytes are not those that were written"
        try:
            is_whole = _sha256(self.path) == stamp.sha256
        except OSError as error:
            return self.path, f"cannot be read: {error.strerror}"
        return None if is_whole else (self.path, "its bytes are not those that were written")

    def fits(self) -> bool:
        """Return whether both files are there and belong together.

        A file that the system shows as the one that was written is not summed again.
        """
        try:
            stamp = IndexStamp.read(self._stamp_path)
            return stamp.is_of(self.path.stat()) or _sha256(self.path) == stamp.sha256
        except (OSError, ValueError, TypeError, KeyError):
            return False

    def load(self, stamp: IndexStamp, *, dim: int, may_change: bool = False) -> FaissObject:
        """Return the index.

        Args:
            stamp: what the file must be.
            dim: width of the vectors.
            may_change: whether vectors are to be added or removed: a large file is mapped
                otherwise, and FAISS ends the process that adds to a mapped index.

        Raises:
            UnusableIndexError: the file is not what ``stamp`` says, or not of width ``dim``.
        """
        faiss = import_faiss()
        try:
            status = self.path.stat()
            is_large = status.st_size >= _LARGE
            if not is_large or not stamp.is_of(status):
                self._check(stamp)
            flags = faiss.IO_FLAG_MMAP_IFC if is_large and not may_change else 0
            index = faiss.read_index(str(self.path), flags)
        except (OSError, RuntimeError) as error:  # FAISS reports bad files by RuntimeError
            raise UnusableIndexError(str(error)) from error
        if (index.d, index.ntotal) != (stamp.dim, stamp.total) or index.d != dim:
            raise UnusableIndexError(
                f"it holds {index.ntotal} vectors of width {index.d}, "
                f"{self._stamp_path.name} says {stamp.total} of {stamp.dim}, "
                f"the collection has width {dim}"
            )
        return index

    def set_aside(self) -> None:
        """Rename a file that cannot be used, so that it can be looked at; nothing depends on it."""
        damaged = self.path.with_name("index.faiss.damaged")
        try:
            self._stamp_path.unlink(missing_ok=True)
            self.path.replace(damaged)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("%s stays where it is: %s", self.path, error)
            return
        logger.warning("%s was renamed to %s and is built anew", self.path, damaged.name)

    def prepare(self, index: FaissObject, *, needed: int) -> WrittenFile:
        """Write an index beside the present one.

        Args:
            index: FAISS's own, in memory, not on a GPU.
            needed: about how many bytes that takes.

        Raises:
            StorageError: the disk is full or cannot be written; the present one is untouched.
        """
        draft = self._draft
        try:
            import_faiss().write_index(index, str(draft))
            with draft.open("rb") as stream:
                os.fsync(stream.fileno())
            return WrittenFile(_sha256(draft), draft.stat())
        except (OSError, RuntimeError) as error:
            self.discard()
            raise StorageError(
                f"{draft}: {error}; {needed:,} bytes were needed, {free_space(draft)}; free some "
                "space and run it again (the collection itself is complete)"
            ) from error

    def discard(self) -> None:
        """Remove what was prepared, if there is something."""
        self._draft.unlink(missing_ok=True)

    def replace(self, stamp: IndexStamp) -> None:
        """Put what was prepared in the place of the present pair.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        with disk_errors(self._stamp_path, needed=4096):
            self._draft.replace(self.path)
            sync_folder(self._directory)
        write_sealed(self._stamp_path, stamp.sealed_values())

    def size_bytes(self) -> int:
        """Return the size of both files; 0 while there are none."""
        return sum(path.stat().st_size for path in (self.path, self._stamp_path) if path.exists())

    @property
    def _draft(self) -> Path:
        return self.path.with_name("index.faiss.new")

    def _check(self, stamp: IndexStamp) -> None:
        """Find out what is wrong before FAISS sees the file: it loads altered ones in silence."""
        actual = _sha256(self.path)
        if actual != stamp.sha256:
            raise UnusableIndexError(
                f"its sha256 is {actual}, {self._stamp_path.name} says {stamp.sha256}"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
