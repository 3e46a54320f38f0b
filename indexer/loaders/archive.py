"""Opens the ZIP archives that Office and EPUB files are, unless they are bombs."""

from __future__ import annotations

import io
import zipfile
import zlib

from indexer.errors import ExtractionError
from indexer.loaders.faults import damaged
from indexer.loaders.supervision import report

__all__ = ["open_archive", "read_member"]

_MAX_MEMBERS = 20_000
_MAX_BYTES = 256 * 1024 * 1024
_MAX_RATIO = 4  # of unpacked to packed, for archives that are large because media are in them
_BLOCK_BYTES = 1024 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def open_archive(data: bytes, *, what: str) -> zipfile.ZipFile:
    """Open a document that is an archive, having unpacked all of it once within bounds.

    Args:
        data: the file.
        what: name of the format for messages, such as "Word".

    Raises:
        ExtractionError: ``encrypted``, ``unsupported``, ``damaged`` or ``bomb``.
    """
    if data.startswith(_OLE):
        raise _not_an_archive(data, what)
    report("the archive")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise damaged(f"the {what} file", error) from error
    _check_declared(archive, len(data))
    for member in archive.infolist():
        _check_member(archive, member, what)
    return archive


def read_member(archive: zipfile.ZipFile, name: str, *, what: str) -> bytes:
    """Return the bytes of one member of an archive from ``open_archive``.

    Raises:
        ExtractionError: ``damaged`` when it is missing.
    """
    try:
        return archive.read(name)
    except KeyError:
        raise ExtractionError(
            "damaged",
            f"the {what} file is incomplete: {name!r} is not in it",
            hint="open it in the program that made it and save it again",
        ) from None


def _check_declared(archive: zipfile.ZipFile, packed: int) -> None:
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    limit = max(_MAX_BYTES, _MAX_RATIO * packed)
    if len(members) > _MAX_MEMBERS or unpacked > limit:
        raise ExtractionError(
            "bomb",
            f"its {packed:,} bytes unpack to {unpacked:,} bytes in {len(members):,} parts; "
            f"at most {limit:,} bytes in {_MAX_MEMBERS:,} parts are read",
            hint="if the file is genuine, split it or export its text",
        )


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str) -> None:
    """Unpack a member once: zipfile stops at the declared size and compares the checksum.

    Other readers do neither, so what is declared has to be true before they see it.
    """
    if member.flag_bits & 1:
        raise _encrypted(what)
    try:
        with archive.open(member) as stream:
            while stream.read(_BLOCK_BYTES):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise damaged(f"part {member.filename!r} of the {what} file", error) from error


def _not_an_archive(data: bytes, what: str) -> ExtractionError:
    # an Office file with a password is an OLE container that holds the encrypted archive
    if "EncryptedPackage".encode("utf-16-le") in data:
        return _encrypted(what)
    return ExtractionError(
        "unsupported",
        f"it is in the {what} format of 2003 or before, under a newer file suffix",
        hint="open it and save it in a current format",
    )


def _encrypted(what: str) -> ExtractionError:
    return ExtractionError(
        "encrypted",
        f"the {what} file is encrypted and needs a password",
        hint="save it without a password",
    )
