"""The FAISS index on disk: ``index.faiss`` and, beside it, ``index.json`` that vouches for it.

The pair is derived. A pair that is damaged or belongs to another state of the database is never
used and costs nothing but a rebuild from the vector archive.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexer.errors import StorageError
from indexer.sealed_json import read_sealed, sealed_text, write_sealed
from indexer.segments import disk_errors, free_space, sync_folder

__all__ = ["INDEX_TYPE", "IndexFile", "IndexStamp", "UnusableIndexError", "import_faiss"]

INDEX_TYPE = "IDMap2,Flat"
"""What the file holds, in FAISS's own notation; the measure is the inner product."""

_LOCK_TIMEOUT_S = 10.0
_MOST_LOOKS = 3
_FILE_SHA256 = "file_sha256"  # what index.json calls the checksum of index.faiss, having its own

logger = logging.getLogger(__name__)


def import_faiss() -> Any:  # noqa: ANN401  (FAISS has no types)
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
class IndexStamp:
    """What ``index.json`` says of ``index.faiss``.

    Args:
        token: equal to the one in the database, or the file belongs to another state of it.
        change: number of the last change of the database that the index contains.
        index_type: ``INDEX_TYPE``.
        dim: width of the vectors.
        total: how many there are.
        sha256: checksum of the file.
    """

    token: str
    change: int
    index_type: str
    dim: int
    total: int
    sha256: str


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
            return IndexStamp(**_stamp_values(self._stamp_path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
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
            stamp = IndexStamp(**_stamp_values(self._stamp_path))
        except FileNotFoundError:
            return None  # without it nobody reads the index
        except (OSError, ValueError, TypeError) as error:
            return self._stamp_path, f"cannot be read: {error}"
        if _FILE_SHA256.encode() in content and content != _stamp_text(stamp):
            return self._stamp_path, "its bytes are not those that were written"
        try:
            is_whole = _sha256(self.path) == stamp.sha256
        except OSError as error:
            return self.path, f"cannot be read: {error.strerror}"
        return None if is_whole else (self.path, "its bytes are not those that were written")

    def load(self, stamp: IndexStamp, *, dim: int) -> Any:  # noqa: ANN401
        """Return the index.

        Raises:
            UnusableIndexError: the file is not what ``stamp`` says, or not of width ``dim``.
        """
        faiss = import_faiss()
        try:
            self._check(stamp, dim)
            index = faiss.read_index(str(self.path))
        except (OSError, RuntimeError) as error:  # FAISS reports bad files by RuntimeError
            raise UnusableIndexError(str(error)) from error
        if (index.d, index.ntotal) != (stamp.dim, stamp.total):
            raise UnusableIndexError(
                f"it holds {index.ntotal} vectors of width {index.d}, "
                f"{self._stamp_path.name} says {stamp.total} of {stamp.dim}"
            )
        return index

    def set_aside(self) -> None:
        """Rename a file that cannot be used, so that it can be looked at; nothing depends on it."""
        damaged = self.path.with_name("index.faiss.damaged")
        try:
            self.path.replace(damaged)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("%s stays where it is: %s", self.path, error)
            return
        logger.warning("%s was renamed to %s and is built anew", self.path, damaged.name)

    def prepare(self, index: Any) -> str:  # noqa: ANN401
        """Write an index beside the present one and return its checksum.

        Raises:
            StorageError: the disk is full or cannot be written; the present one is untouched.
        """
        draft = self._draft
        needed = index.ntotal * (index.d * 4 + 8)
        try:
            import_faiss().write_index(index, str(draft))
            with draft.open("rb") as stream:
                os.fsync(stream.fileno())
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, RuntimeError) as error:
            draft.unlink(missing_ok=True)
            raise StorageError(
                f"{draft}: {error}; {needed:,} bytes were needed, {free_space(draft)}; free some "
                "space and run it again (the collection itself is complete)"
            ) from error

    def replace(self, stamp: IndexStamp) -> None:
        """Put what was prepared in the place of the present pair.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        with disk_errors(self._stamp_path, needed=4096):
            self._draft.replace(self.path)
            sync_folder(self._directory)
        write_sealed(self._stamp_path, _sealed_values(stamp))

    @property
    def _draft(self) -> Path:
        return self.path.with_name("index.faiss.new")

    def _check(self, stamp: IndexStamp, dim: int) -> None:
        """Find out what is wrong before FAISS sees the file: it loads altered ones in silence."""
        if (stamp.index_type, stamp.dim) != (INDEX_TYPE, dim):
            raise UnusableIndexError(
                f"it is {stamp.index_type} of width {stamp.dim}, not {INDEX_TYPE} of {dim}"
            )
        actual = _sha256(self.path)
        if actual != stamp.sha256:
            raise UnusableIndexError(
                f"its sha256 is {actual}, {self._stamp_path.name} says {stamp.sha256}"
            )


def _stamp_values(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    if f'"{_FILE_SHA256}"' in text:
        values = read_sealed(path)
        values["sha256"] = values.pop(_FILE_SHA256)
        return values
    older: dict[str, Any] = json.loads(text)  # of before the file had a checksum of its own
    return older


def _sealed_values(stamp: IndexStamp) -> dict[str, object]:
    values: dict[str, object] = asdict(stamp)
    values[_FILE_SHA256] = values.pop("sha256")
    return values


def _stamp_text(stamp: IndexStamp) -> bytes:
    return sealed_text(_sealed_values(stamp)).encode("utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
