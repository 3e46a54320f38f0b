"""Writes a collection into one archive: ZIP, with its manifest at the end.

ZIP because every system opens it, it is written and read in one pass each, and its directory stands
at the end: the manifest has the checksums of what was just written, and is yet read first.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.config import DATABASE_FILE, write_settings
from indexer.errors import UsageError
from indexer.evaluation.judged_queries import queries_text
from indexer.evaluation.judgement_book import JudgementBook
from indexer.storage.sealed_json import sealed_text
from indexer.storage.segments import disk_errors, sync_folder
from indexer.transfer.copying import sync_file
from indexer.transfer.exchange import write_exchange
from indexer.transfer.manifest import (
    DATABASE_MEMBER,
    JUDGEMENTS_MEMBER,
    MANIFEST_MEMBER,
    SETTINGS_MEMBER,
    Manifest,
    Member,
)

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.storage.archive import ArchiveFile, VectorArchive

__all__ = ["export_collection"]

OnBytes = Callable[[str, int], None]
"""Told what is being written, and how many bytes of it were."""

_BUFFER_BYTES = 2**20
_COMPRESSION_LEVEL = 4  # of the texts; vectors do not get smaller


def export_collection(
    collection: Collection,
    file: Path,
    *,
    overwrite: bool = False,
    judgements: bool = True,
    on_bytes: OnBytes = lambda what, done: None,
) -> Manifest:
    """Write the live generation, as it is at one moment, into an archive; others may go on.

    The index is left out: it is made anew from the vectors, and reading one from a stranger would
    be trusting a stranger.

    Args:
        collection: which.
        file: the archive; it appears whole or not at all.
        overwrite: replace a file that is there.
        judgements: take along which hits were judged, with the queries.
        on_bytes: told how far it is.

    Raises:
        UsageError: the file is there already, or its folder is not.
        StorageError: the disk is full, or the collection cannot be read.
    """
    file = file.absolute()
    _check_target(file, overwrite)
    with disk_errors(file, needed=0):
        scratch = Path(tempfile.mkdtemp(prefix=f".{file.name}.", dir=file.parent))
    try:
        draft = scratch / "draft"
        with disk_errors(file, needed=0), _Writer(draft, on_bytes) as writer:
            manifest = _write(collection, scratch, writer, judgements=judgements)
        sync_file(draft)
        with disk_errors(file, needed=0):
            draft.replace(file)
            sync_folder(file.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return manifest


def _check_target(file: Path, overwrite: bool) -> None:
    if not file.parent.is_dir():
        raise UsageError(f"{file.parent} is no folder; make it, or choose another place")
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file in it, such as {file.name}.zip")
    if file.exists() and not overwrite:
        raise UsageError(f"{file} is there already; choose another name, or add --force")


def _write(collection: Collection, scratch: Path, writer: _Writer, *, judgements: bool) -> Manifest:
    queries = JudgementBook(collection.directory).queries() if judgements else ()
    with collection.using() as live:
        database = scratch / DATABASE_MEMBER
        written = write_exchange(live.directory / DATABASE_FILE, database)
        write_settings(scratch, live.config.settings)
        writer.add(SETTINGS_MEMBER, _parts(scratch / SETTINGS_MEMBER), is_text=True)
        writer.add(DATABASE_MEMBER, _parts(database), is_text=True)
        # Vectors that were added since are left out: the exported database does not know them.
        for vectors in _files(live.archive, written.rows):
            writer.add(f"vectors/{vectors.path.name}", live.archive.content(vectors))
        if queries:
            writer.add(JUDGEMENTS_MEMBER, [queries_text(queries).encode("utf-8")], is_text=True)
        manifest = Manifest(
            name=collection.name,
            exported_at=time.time(),
            program=metadata.version("gircse-search"),
            documents=written.documents,
            chunks=written.chunks,
            index=live.record.index,
            members=tuple(writer.members),
        )
    writer.add(MANIFEST_MEMBER, [sealed_text(manifest.as_dict()).encode("utf-8")], is_text=True)
    return manifest


def _files(archive: VectorArchive, recorded: int) -> Iterator[ArchiveFile]:
    for file in archive.files():
        rows = min(file.rows, recorded - file.first_row)
        if rows > 0:
            yield replace(file, rows=rows)


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while part := stream.read(_BUFFER_BYTES):
            yield part


class _Writer:
    """Writes members into a ZIP file, part by part, and keeps account of them."""

    def __init__(self, path: Path, on_bytes: OnBytes) -> None:
        self.members: list[Member] = []
        self._archive = zipfile.ZipFile(path, "x", allowZip64=True)
        self._on_bytes = on_bytes

    def add(self, name: str, parts: Iterable[bytes], *, is_text: bool = False) -> None:
        info = zipfile.ZipInfo(name, date_time=time.localtime()[:6])
        info.external_attr = 0o600 << 16  # it holds private texts
        if is_text:
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = _COMPRESSION_LEVEL  # type: ignore[attr-defined]
        digest, size = hashlib.sha256(), 0
        with self._archive.open(info, "w", force_zip64=True) as stream:
            for part in parts:
                stream.write(part)
                digest.update(part)
                size += len(part)
                self._on_bytes(name, size)
        self.members.append(Member(name, size, digest.hexdigest()))

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()
