"""Reads an archive into a new collection, trusting nothing in it.

Names in the archive choose no paths, sizes and checksums are compared while it is unpacked, the
database is taken row by row into one of our own making, everything is examined as ``gircse verify``
does, and the index is built from the vectors. The collection appears whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.canary import probe
from indexer.collections.config import (
    DATABASE_FILE,
    ContentSettings,
    Identity,
    read_settings,
    write_identity,
)
from indexer.collections.generation import Generation, make_content
from indexer.collections.generations import GenerationRecord, write_first
from indexer.errors import StorageError, UsageError
from indexer.evaluation.judged_queries import JudgedQuery, query_text, read_queries
from indexer.evaluation.judgement_book import JudgementBook
from indexer.storage.database import Database
from indexer.storage.ledger import LedgerTotals
from indexer.storage.segments import disk_errors, sync_folder
from indexer.stores.index_types import DEFAULT_INDEX_TYPE, INDEX_TYPES
from indexer.stores.reading import load_document
from indexer.transfer.exchange import read_exchange
from indexer.transfer.manifest import DATABASE_MEMBER, JUDGEMENTS_MEMBER
from indexer.transfer.unpacking import OnBytes, open_archive, read_manifest, unpack
from indexer.verification.content import check_content
from indexer.verification.findings import Findings

if TYPE_CHECKING:
    from indexer.collections.library import Library

__all__ = ["ImportReport", "import_collection"]

_LONGEST_TEXT = 2**28  # bytes of one document, unpacked
_VECTORS_PER_READ = 8192
_LARGEST_JUDGEMENTS = 2**28


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported.

    Args:
        name: the new collection.
        documents: how many it has.
        chunks: their passages.
        model: name of the model that its queries need.
        index: type of the index that was built.
        judged: queries whose hits were judged.
    """

    name: str
    documents: int
    chunks: int
    model: str
    index: str
    judged: int


def import_collection(
    library: Library,
    file: Path,
    *,
    name: str = "",
    on_bytes: OnBytes = lambda what, done: None,
) -> ImportReport:
    """Make a new collection of an archive.

    Args:
        library: where to.
        file: the archive.
        name: what to call the collection; empty takes the name that it was exported under.
        on_bytes: told how far it is.

    Raises:
        UsageError: there is no such file, or the name is taken or impossible.
        StorageError: the archive is damaged or makes no sense, or the disk is full. There is no
            new collection then.
    """
    with open_archive(file) as archive:
        manifest = read_manifest(archive)
        name = name or manifest.name
        with library.making(name) as draft:

            def told(what: str, done: int) -> None:
                with suppress(OSError):
                    os.utime(draft)  # it is not abandoned, however long this takes
                on_bytes(what, done)

            unpacked = draft / "unpacked"
            with disk_errors(unpacked, needed=0):
                unpacked.mkdir()
            unpack(archive, manifest, unpacked, on_bytes=told)
            return _Import(draft, name, manifest.index, told).make(unpacked)


class _Import:
    """Makes a collection of what was unpacked, in the folder that will be its own."""

    def __init__(self, draft: Path, name: str, index: str, on_bytes: OnBytes) -> None:
        self._draft = draft
        self._name = name
        self._on_bytes = on_bytes
        self._record = GenerationRecord(1, "content-1", index=_index_type(index))

    def make(self, unpacked: Path) -> ImportReport:
        settings = read_settings(unpacked.parent, unpacked)
        content = self._record.content_directory(self._draft)
        make_content(content, settings)
        self._on_bytes("documents and words", 0)
        read_exchange(unpacked / DATABASE_MEMBER, content / DATABASE_FILE)
        with disk_errors(content, needed=0):
            (unpacked / "vectors").rename(content / "vectors")
            sync_folder(content)
        self._check(content, settings)
        judged = _judged(unpacked / JUDGEMENTS_MEMBER)
        if judged:
            JudgementBook(self._draft).take_over(judged)
        totals = self._publish()
        with disk_errors(unpacked, needed=0):
            for path in unpacked.iterdir():
                path.unlink()
            unpacked.rmdir()
        return ImportReport(
            name=self._name,
            documents=totals.documents,
            chunks=totals.chunks,
            model=settings.model,
            index=self._record.index,
            judged=len(judged),
        )

    def _check(self, content: Path, settings: ContentSettings) -> None:
        self._on_bytes("checksums", 0)
        try:
            with closing(Database(content / DATABASE_FILE)) as database:
                _check_texts(database)
                database.seal()
        except (ValueError, TypeError, KeyError, zlib.error, sqlite3.Error) as error:
            raise StorageError(f"a document in the archive makes no sense: {error}") from error
        findings = Findings(self._draft, self._name)
        check_content(findings, content, dim=settings.dim, words=False, on_progress=self._tell)
        if findings.problems:
            problem = findings.problems[0]
            raise StorageError(
                f"the archive is damaged: {problem.file}: {problem.what}; nothing was imported"
            )

    def _tell(self, what: str, done: int, total: int) -> None:
        self._on_bytes(what.replace("content-1/", ""), 0)

    def _publish(self) -> LedgerTotals:
        """Build the index, see that searches find what there is, and write what makes it whole.

        Returns:
            What the collection holds.
        """
        identity = Identity.new()
        write_identity(self._draft, identity)
        with disk_errors(self._draft, needed=0):
            self._record.index_directory(self._draft).mkdir()
        self._on_bytes("index", 0)
        with closing(Generation(self._draft, self._record)) as generation:
            archive = generation.archive
            for begin in range(0, len(archive), _VECTORS_PER_READ):
                archive.read(range(begin, min(begin + _VECTORS_PER_READ, len(archive))))
            generation.store.flush()
            probe(generation)
            totals = generation.ledger.totals()
        write_first(self._draft, replace(self._record, made_at=time.time()))
        return totals


def _judged(file: Path) -> tuple[JudgedQuery, ...]:
    try:
        with disk_errors(file, needed=0):
            if file.exists() and file.stat().st_size > _LARGEST_JUDGEMENTS:
                raise StorageError(f"they are larger than {_LARGEST_JUDGEMENTS:,} bytes")
        judged = read_queries(file)
        for one in judged:
            query_text(one.text)
    except (StorageError, UsageError) as error:
        raise StorageError(
            f"the judgements in the archive make no sense: {error}; nothing was imported"
        ) from error
    return judged


def _index_type(name: str) -> str:
    return name if name in INDEX_TYPES else DEFAULT_INDEX_TYPE


def _check_texts(database: Database) -> None:
    """Read every document as searches will, with a limit on what its text unpacks to.

    Raises:
        ValueError, TypeError, KeyError, zlib.error: one makes no sense.
    """
    with database.read() as connection:
        for (packed,) in connection.execute("SELECT text FROM document_texts"):
            reader = zlib.decompressobj()
            reader.decompress(packed, _LONGEST_TEXT)
            if not reader.eof:
                raise ValueError(f"its text is longer than {_LONGEST_TEXT:,} bytes, or cut off")
        for (identity,) in connection.execute("SELECT id FROM documents"):
            document = load_document(connection, identity)
            if document is None:
                raise ValueError(f"{identity} has no text")
            facts = document.metadata
            if not isinstance(facts, dict) or {type(value) for value in facts.values()} - {str}:
                raise ValueError(f"the facts of {document.source} are no texts")
            for section in document.sections:
                if not 0 <= section.start <= section.end <= len(document.text):
                    raise ValueError(f"{document.source} has a section outside of its text")
