"""Copies of uploaded files, kept by their content under ``<home>/uploads``, per collection.

A browser's bytes live in memory until they are here. Names arrive as strangers send them and are
made harmless; the files are only ever read by the extraction's own processes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from app.errors import UploadLimitError
from app.work.upload_names import safe_name, safe_path
from indexer.storage.segments import disk_errors, sync_folder

__all__ = ["Upload", "UploadFolder", "UploadLimits"]

_DIGEST_CHARS = 32
_BLOCK_BYTES = 1 << 20
_OTHER_WAY = "Files that are added by their path are read where they are, and not copied."
_INCOMING = ".incoming-"
_OWNER = ".collection"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as the browser sent it.

    Args:
        name: as sent.
        content: its bytes, from the beginning.
        size: how many.
        is_of_folder: a whole folder was sent, and the name begins with those that the file is in.
    """

    name: str
    content: BinaryIO
    size: int
    is_of_folder: bool = False

    @property
    def path(self) -> PurePath:
        """Its name, or relative path, made harmless."""
        return safe_path(self.name) if self.is_of_folder else PurePath(safe_name(self.name))


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much may be uploaded.

    Args:
        file_bytes: of one file.
        total_bytes: that the copies of all files may take on the disk.
    """

    file_bytes: int
    total_bytes: int


class UploadFolder:
    """All uploads of one home directory.

    Args:
        home: the program's own directory.
        limits: how much may be uploaded.
    """

    def __init__(self, home: Path, limits: UploadLimits) -> None:
        self.root = home.absolute() / "uploads"
        self.limits = limits

    def claim(self, collection: str, owner: str) -> Path:
        """Make the folder of a collection ready, and return it.

        Args:
            collection: its name, for the folder's; a collection that is renamed keeps its folder,
                for the paths in there are those by which its documents are known.
            owner: its id.

        Raises:
            StorageError: the folder cannot be written.
        """
        folder = self._folder_of(owner) or self.root / f"{collection}-{owner[:8]}"
        mark = folder / _OWNER
        with disk_errors(folder, needed=0):
            if not mark.is_file():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                mark.write_text(owner)
        return folder

    def store(
        self,
        folder: Path,
        uploads: Sequence[Upload],
        *,
        before_commit: Callable[[list[Path]], object] = lambda _: None,
    ) -> list[Path]:
        """Copy files to disk; equal content under an equal name is kept once.

        Args:
            folder: whose they are; it has been claimed.
            uploads: the files.
            before_commit: told all final paths once every byte is on disk and before any file
                stands under its path. A queue written here misses no file that was kept.

        Returns:
            Their paths, in order.

        Raises:
            UploadLimitError: a file, or all of them, are more than may be uploaded.
            StorageError: the disk is full or cannot be written. None of the files is kept then.
        """
        self._check_limits(uploads)
        drafts: list[tuple[Path, Path]] = []
        try:
            for upload in uploads:
                drafts.append(_write_draft(folder, upload))
            paths = [path for _, path in drafts]
            before_commit(paths)
            for draft, path in drafts:
                _publish(draft, path)
            return paths
        finally:
            for draft, _ in drafts:
                draft.unlink(missing_ok=True)

    def size_bytes(self, owner: str | None = None) -> int:
        """Return what the copies of one collection's files take on the disk, or of all."""
        folder = self.root if owner is None else self._folder_of(owner)
        if folder is None:
            return 0
        sizes = 0
        for place, _, names in os.walk(folder):
            for name in names:
                with suppress(OSError):  # removed at this very moment
                    sizes += (Path(place) / name).stat().st_size
        return sizes

    def owns(self, path: Path) -> bool:
        """Return whether a path is that of an upload."""
        return path.is_relative_to(self.root)

    def remove(self, path: Path) -> None:
        """Remove one upload, if it is one; a file of the user's own elsewhere is never touched."""
        if not self.owns(path):
            return
        with disk_errors(path, needed=0):
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder.parent == self.root or not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()

    def remove_all(self, owner: str) -> None:
        """Remove all uploads of a collection, by its id."""
        folder = self._folder_of(owner)
        if folder is not None:
            with disk_errors(folder, needed=0):
                shutil.rmtree(folder)

    def sweep_drafts(self) -> None:
        """Remove what an earlier run of the app left half written; for its start alone."""
        for draft in self.root.glob(f"*/{_INCOMING}*"):
            with suppress(OSError):
                draft.unlink()

    def sweep(self, owners: Collection[str]) -> None:
        """Remove the uploads of collections that are gone; those of these ids stay."""
        for owner, folder in self._folders():
            if owner not in owners:
                shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> Iterator[tuple[str, Path]]:
        for mark in sorted(self.root.glob(f"*/{_OWNER}")):
            with suppress(OSError, UnicodeDecodeError):
                yield mark.read_text(), mark.parent

    def _folder_of(self, owner: str) -> Path | None:
        return next((folder for known, folder in self._folders() if known == owner), None)

    def _check_limits(self, uploads: Sequence[Upload]) -> None:
        for upload in uploads:
            if upload.size > self.limits.file_bytes:
                raise UploadLimitError(
                    f"{upload.path} has {_mib(upload.size)}, and one upload may have "
                    f"{_mib(self.limits.file_bytes)} (setting upload_mb). {_OTHER_WAY}"
                )
        taken, wanted = self.size_bytes(), sum(upload.size for upload in uploads)
        if taken + wanted > self.limits.total_bytes:
            raise UploadLimitError(
                f"The copies of uploaded files take {_mib(taken)}; another "
                f"{_mib(wanted)} would be more than the {_mib(self.limits.total_bytes)} "
                f"that they may take in all (setting uploads_mb). Delete documents, or raise the "
                f"setting. {_OTHER_WAY}"
            )


def _mib(size_bytes: int) -> str:
    """Return a size in the unit of the settings; what is a little too much is not rounded off."""
    return f"{-(-size_bytes // (1 << 20)):,} MiB"


def _write_draft(folder: Path, upload: Upload) -> tuple[Path, Path]:
    """Write the bytes beside their place; return where they are and where they belong."""
    draft = folder / f"{_INCOMING}{uuid.uuid4().hex}"
    digest = hashlib.sha256()
    try:
        with disk_errors(folder / upload.path, needed=upload.size), draft.open("xb") as file:
            while block := upload.content.read(_BLOCK_BYTES):
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft, folder / digest.hexdigest()[:_DIGEST_CHARS] / upload.path


def _publish(draft: Path, path: Path) -> None:
    if path.is_file():
        return  # the same bytes: a new time of modification would have them read again
    with disk_errors(path.parent, needed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(path)
        sync_folder(path.parent)
