"""Copies of uploaded files, kept by their content under ``<home>/uploads/<collection>``.

A browser's bytes live in memory until they are here. Names arrive as strangers send them and are
made harmless; the files are only ever read by the extraction's own processes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from indexer.segments import disk_errors, sync_folder

__all__ = ["Upload", "UploadFolder", "safe_name"]

_MAX_NAME_BYTES = 180
_MAX_SUFFIX_BYTES = 20
_DIGEST_CHARS = 32
_BLOCK_BYTES = 1 << 20
_INCOMING = ".incoming-"
_OWNER = ".collection"

# Controls, line separators, lone surrogates, and the marks that make a name read backwards.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def safe_name(name: str) -> str:
    """Return a file name for what a browser sent as one: no path, no controls, not too long.

    Characters that mean something to HTML or a shell stay: nothing here is run, and whatever shows
    a name escapes it.
    """
    last = re.split(r"[/\\]", name)[-1]
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", last)).strip(" .")
    stem, dot, suffix = text.rpartition(".")
    if not dot or not stem or len(suffix.encode()) > _MAX_SUFFIX_BYTES:
        return _cut(text, _MAX_NAME_BYTES) or "unnamed"
    return _cut(stem, _MAX_NAME_BYTES - len(suffix.encode()) - 1) + dot + suffix


def _cut(text: str, size_bytes: int) -> str:
    return text.encode()[:size_bytes].decode(errors="ignore").rstrip(" .")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as the browser sent it.

    Args:
        name: as sent.
        content: its bytes, from the beginning.
        size: how many.
    """

    name: str
    content: BinaryIO
    size: int


class UploadFolder:
    """All uploads of one home directory.

    Args:
        home: the program's own directory.
    """

    def __init__(self, home: Path) -> None:
        self.root = home.absolute() / "uploads"

    def claim(self, collection: str, owner: str) -> None:
        """Make the folder of a collection ready; what an earlier one of that name left goes.

        Args:
            collection: its name.
            owner: its id, which a later collection of the same name does not share.

        Raises:
            StorageError: the folder cannot be written.
        """
        folder = self.root / collection
        mark = folder / _OWNER
        with disk_errors(folder, needed=0):
            if folder.is_dir() and (not mark.is_file() or mark.read_text() != owner):
                shutil.rmtree(folder)
            if not mark.is_file():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                mark.write_text(owner)
            for leftover in folder.glob(f"{_INCOMING}*"):
                leftover.unlink(missing_ok=True)

    def store(
        self,
        collection: str,
        uploads: Sequence[Upload],
        *,
        before_commit: Callable[[list[Path]], None] = lambda _: None,
    ) -> list[Path]:
        """Copy files to disk; equal content under an equal name is kept once.

        Args:
            collection: whose they are; its folder has been claimed.
            uploads: the files.
            before_commit: told all final paths once every byte is on disk and before any file
                stands under its path. A queue written here misses no file that was kept.

        Returns:
            Their paths, in order.

        Raises:
            StorageError: the disk is full or cannot be written; then none of them is kept.
        """
        folder = self.root / collection
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

    def owns(self, path: Path) -> bool:
        """Return whether a path is that of an upload."""
        return path.is_relative_to(self.root)

    def remove(self, path: Path) -> None:
        """Remove one upload, if it is one; a file of the user's own elsewhere is never touched."""
        if not self.owns(path):
            return
        with disk_errors(path, needed=0):
            path.unlink(missing_ok=True)
            if path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()

    def remove_all(self, collection: str) -> None:
        """Remove all uploads of a collection."""
        folder = self.root / collection
        with disk_errors(folder, needed=0):
            if folder.is_dir():
                shutil.rmtree(folder)


def _write_draft(folder: Path, upload: Upload) -> tuple[Path, Path]:
    """Write the bytes beside their place; return where they are and where they belong."""
    name = safe_name(upload.name)
    draft = folder / f"{_INCOMING}{uuid.uuid4().hex}"
    digest = hashlib.sha256()
    try:
        with disk_errors(folder / name, needed=upload.size), draft.open("xb") as file:
            while block := upload.content.read(_BLOCK_BYTES):
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft, folder / digest.hexdigest()[:_DIGEST_CHARS] / name


def _publish(draft: Path, path: Path) -> None:
    if path.is_file():
        return  # the same bytes: a new time of modification would have them read again
    with disk_errors(path.parent, needed=0):
        path.parent.mkdir(exist_ok=True)
        draft.replace(path)
        sync_folder(path.parent)
