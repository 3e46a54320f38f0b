"""Unpacks an archive's members into a folder: sizes and checksums compared, no name followed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import StorageError, UsageError
from indexer.storage.sealed_json import sealed_text
from indexer.storage.segments import disk_errors
from indexer.transfer.manifest import MANIFEST_MEMBER, Manifest, Member

__all__ = ["OnBytes", "open_archive", "read_manifest", "unpack"]

OnBytes = Callable[[str, int], None]
"""Told what is being read, and how many bytes of it were."""

_LARGEST_MANIFEST = 16 * 2**20
_BUFFER_BYTES = 2**20
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile, zlib and json say of bytes that make no sense.
_SENSELESS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RecursionError,
    ValueError,
)
_SPARE_SHARE = 0.05  # of the disk's free space is left to others


@contextmanager
def open_archive(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        UsageError: there is no such file.
        StorageError: it is no archive, or damaged.
    """
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    try:
        with disk_errors(file, needed=0), zipfile.ZipFile(file) as archive:
            yield archive
    except _SENSELESS as error:
        raise StorageError(
            f"{file} is no archive of a collection, or is damaged: {error}; nothing was imported"
        ) from error


def read_manifest(archive: zipfile.ZipFile) -> Manifest:
    """Return what an archive says of itself, once that agrees with its directory.

    Raises:
        zipfile.BadZipFile, ValueError, RecursionError: it is damaged, or holds what it should not.
    """
    listed = archive.infolist()
    names = [info.filename for info in listed]
    if MANIFEST_MEMBER not in names:
        raise ValueError(f"it has no {MANIFEST_MEMBER}")
    _check_entry(archive.getinfo(MANIFEST_MEMBER), None)
    if archive.getinfo(MANIFEST_MEMBER).file_size > _LARGEST_MANIFEST:
        raise ValueError(f"its {MANIFEST_MEMBER} is larger than any that is written")
    with archive.open(MANIFEST_MEMBER) as stream:
        text = stream.read(_LARGEST_MANIFEST).decode("utf-8")
    values = json.loads(text)
    if not isinstance(values, dict) or values.pop("sha256", None) is None:
        raise ValueError(f"its {MANIFEST_MEMBER} has no checksum")
    if sealed_text(values) != text:
        raise ValueError(f"its {MANIFEST_MEMBER} differs from what was written")
    manifest = Manifest.from_dict(values)
    expected = {MANIFEST_MEMBER, *(member.path for member in manifest.members)}
    if len(names) != len(expected) or set(names) != expected:
        raise ValueError(f"it holds other files than its {MANIFEST_MEMBER} lists")
    sizes = {member.path: member.size for member in manifest.members}
    for info in listed:
        _check_entry(info, sizes.get(info.filename))
    return manifest


def unpack(
    archive: zipfile.ZipFile, manifest: Manifest, folder: Path, *, on_bytes: OnBytes
) -> None:
    """Write an archive's members into a folder, those of vectors into ``vectors`` in it.

    Args:
        archive: open.
        manifest: what was read from it; its names are checked.
        folder: where to; the disk must have room for all of it twice.
        on_bytes: told how far it is.

    Raises:
        StorageError: a member is not what the manifest says, or the disk is full.
    """
    needed = 2 * manifest.size_bytes
    with disk_errors(folder, needed=needed):
        free = int(shutil.disk_usage(folder).free * (1 - _SPARE_SHARE))
        (folder / "vectors").mkdir()
    if needed > free:
        raise StorageError(
            f"importing needs {needed:,} bytes on the disk of {folder.parent}, {free:,} may be "
            "used; free some space, or choose another place with --home"
        )
    for member in manifest.members:
        with disk_errors(folder / member.path, needed=member.size):
            _unpack(archive, member, folder / member.path, on_bytes)


def _check_entry(info: zipfile.ZipInfo, size: int | None) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or info.is_dir():
        raise ValueError(f"its member {info.filename!r} is no plain file")
    if info.flag_bits & 0x1 or info.compress_type not in _PACKINGS:
        raise ValueError(f"its member {info.filename!r} is encrypted or packed in an unknown way")
    if size is not None and info.file_size != size:
        raise ValueError(
            f"its member {info.filename!r} has {info.file_size:,} bytes, {size:,} were written"
        )


def _unpack(archive: zipfile.ZipFile, member: Member, target: Path, on_bytes: OnBytes) -> None:
    digest, done = hashlib.sha256(), 0
    with archive.open(member.path) as packed, target.open("xb") as stream:
        while part := packed.read(_BUFFER_BYTES):
            done += len(part)
            if done > member.size:  # whatever its directory claimed
                raise ValueError(f"its member {member.path!r} is longer than it says")
            digest.update(part)
            stream.write(part)
            on_bytes(member.path, done)
        stream.flush()
        os.fsync(stream.fileno())
    if (done, digest.hexdigest()) != (member.size, member.sha256):
        raise ValueError(f"its member {member.path!r} differs from what was written")
