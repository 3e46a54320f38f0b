"""Judged sets in the BEIR layout that a user has brought, kept under ``<home>/judged-sets``.

A set comes as an archive, of which three kinds of files are taken and nothing else, or as a folder
that stays where it is. Archives are strangers' work: names in them choose no paths, and what they
unpack to is counted as it comes.
"""

from __future__ import annotations

import json
import lzma
import re
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from indexer.errors import UsageError
from indexer.storage.segments import disk_errors, sync_folder

__all__ = ["JudgedSet", "JudgedSets"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_SPLIT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}\.tsv")
_LINK = ".folder.json"
_DRAFT = ".new-"
_BLOCK_BYTES = 1 << 20
# What zipfile and those that unpack for it say; RuntimeError of what is encrypted.
_SENSELESS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A judged set that is there.

    Args:
        name: what it is called.
        folder: where its files are.
        splits: which judgements it has, ``test`` first.
        has_documents: whether it brings documents of its own; else it judges a collection's.
    """

    name: str
    folder: Path
    splits: tuple[str, ...]
    has_documents: bool


class JudgedSets:
    """All judged sets of one home directory.

    Args:
        home: the program's own directory.
        max_bytes: how much one archive may unpack to.
    """

    def __init__(self, home: Path, *, max_bytes: int = 4 * 2**30) -> None:
        self._root = home.absolute() / "judged-sets"
        self._max_bytes = max_bytes

    def all(self) -> list[JudgedSet]:
        """Return the sets in order of their names; folders that are gone are left out."""
        if not self._root.is_dir():
            return []
        found = []
        with disk_errors(self._root, needed=0):
            entries = sorted(self._root.iterdir())
        for entry in entries:
            if entry.name.startswith(_DRAFT):
                continue
            folder = _linked(entry) if entry.name.endswith(_LINK) else entry
            if folder is not None and _splits(folder):
                found.append(_described(entry.name.removesuffix(_LINK), folder))
        return found

    def get(self, name: str) -> JudgedSet:
        """Return a set.

        Raises:
            UsageError: there is none of that name.
        """
        for one in self.all():
            if one.name == name:
                return one
        raise UsageError(f"there is no judged set {name!r} any more; add it again")

    def add_archive(self, file_name: str, content: BinaryIO) -> JudgedSet:
        """Keep a set that comes as a ZIP file.

        Args:
            file_name: as the browser sent it; what the set is called is made of it.
            content: the archive.

        Raises:
            UsageError: it is no archive, holds no judged set, or unpacks to too much.
            StorageError: the disk is full or cannot be written.
        """
        try:
            archive = zipfile.ZipFile(content)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise UsageError(f"{file_name} is no ZIP file that can be read ({error}).") from error
        with archive, self._draft() as draft:
            try:
                self._unpack(archive, _members(archive, file_name), draft, file_name)
            except _SENSELESS as error:
                raise UsageError(f"{file_name} cannot be unpacked ({error}).") from error
            name = self._free_name(file_name)
            with disk_errors(draft, needed=0):
                draft.rename(self._root / name)
                sync_folder(self._root)
        return self.get(name)

    def add_folder(self, folder: Path) -> JudgedSet:
        """Take a folder as a set; its files stay where they are.

        Raises:
            UsageError: it holds no judged set.
        """
        folder = folder.absolute()
        for one in self.all():
            if one.folder == folder:
                return one
        if not (folder / "queries.jsonl").is_file() or not _splits(folder):
            raise UsageError(
                f"{folder} is no judged set: it must hold queries.jsonl and qrels/test.tsv (the "
                "BEIR layout), and corpus.jsonl unless it judges documents of the collection."
            )
        name = self._free_name(folder.name)
        with disk_errors(self._root, needed=0):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._root / f"{name}{_LINK}").write_text(json.dumps({"folder": str(folder)}))
        return self.get(name)

    def remove(self, name: str) -> None:
        """Forget a set; a folder of the user's own stays as it is."""
        for path in (self._root / f"{name}{_LINK}", self._root / name):
            with disk_errors(path, needed=0):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        draft = self._root / f"{_DRAFT}{uuid.uuid4().hex}"
        try:
            with disk_errors(draft, needed=0):
                (draft / "qrels").mkdir(mode=0o700, parents=True)
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _unpack(
        self,
        archive: zipfile.ZipFile,
        members: dict[str, zipfile.ZipInfo],
        draft: Path,
        file_name: str,
    ) -> None:
        left = self._max_bytes
        for target, member in members.items():
            path = draft / target
            with (
                disk_errors(path, needed=member.file_size),
                archive.open(member) as source,
                path.open("wb") as into,
            ):
                while block := _read_block(source):
                    left -= len(block)
                    if left < 0:
                        raise UsageError(
                            f"{file_name} unpacks to more than {self._max_bytes:,} bytes; unpack "
                            "it yourself and give the folder."
                        )
                    into.write(block)

    def _free_name(self, wanted: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(wanted).name.removesuffix(".zip"))
        stem = stem.strip(".-")[:56] or "set"
        taken = {path.name.removesuffix(_LINK) for path in self._root.glob("*")}
        names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
        return next(name for name in names if name not in taken and _NAME.fullmatch(name))


def _read_block(source: IO[bytes]) -> bytes:
    try:
        return source.read(_BLOCK_BYTES)
    except OSError as error:
        if error.errno is None:  # bz2's word for damage; the disk's own have a number
            raise zipfile.BadZipFile(str(error)) from error
        raise


def _members(archive: zipfile.ZipFile, file_name: str) -> dict[str, zipfile.ZipInfo]:
    """Return what is taken of an archive, by where it goes: the set nearest to its root."""
    files = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    roots = [
        PurePosixPath(name).parent for name in files if PurePosixPath(name).name == "queries.jsonl"
    ]
    for root in sorted(roots, key=lambda path: (len(path.parts), str(path))):
        qrels = {
            f"qrels/{PurePosixPath(name).name}": info
            for name, info in files.items()
            if PurePosixPath(name).parent == root / "qrels"
            and _SPLIT.fullmatch(PurePosixPath(name).name)
        }
        if not qrels:
            continue
        names = ("queries.jsonl", "corpus.jsonl")
        found = {name: files[str(root / name)] for name in names if str(root / name) in files}
        return found | qrels
    raise UsageError(
        f"{file_name} holds no judged set: in it, or in one folder of it, there must be "
        "queries.jsonl and qrels/test.tsv (the BEIR layout), and corpus.jsonl unless it judges "
        "documents of the collection."
    )


def _linked(entry: Path) -> Path | None:
    try:
        return Path(json.loads(entry.read_text())["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _splits(folder: Path) -> tuple[str, ...]:
    try:
        there = {path.stem for path in (folder / "qrels").glob("*.tsv")}
    except OSError:
        return ()
    return tuple(sorted(there, key=lambda split: (split != "test", split)))


def _described(name: str, folder: Path) -> JudgedSet:
    return JudgedSet(name, folder, _splits(folder), (folder / "corpus.jsonl").is_file())
