"""Examines one content: its settings, database and vectors, and whether they agree.

The live content, a draft and the content of a snapshot are all examined alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.collections.config import CONFIG_FILE, DATABASE_FILE, SETTINGS_FILE
from indexer.errors import FormatVersionError, IndexerError
from indexer.storage.archive import VectorArchive
from indexer.storage.connections import tidy
from indexer.storage.database import Database, is_writable
from indexer.verification.database_file import check_bytes, check_log, check_structure, reading
from indexer.verification.documents import check_documents
from indexer.verification.files import check_json
from indexer.verification.findings import Findings
from indexer.verification.relations import check_ledger, check_tables
from indexer.verification.vectors import check_vectors
from indexer.verification.words import check_words

__all__ = ["OnProgress", "check_content"]

OnProgress = Callable[[str, int, int], None]
"""Told what is being examined, how much of it is done, and how much there is (0: unknown)."""


def check_content(
    findings: Findings,
    folder: Path,
    *,
    dim: int,
    words: bool,
    at_rest: bool = False,
    way_out: str = "",
    on_progress: OnProgress = lambda what, done, total: None,
) -> None:
    """Note everything that is wrong with a content.

    Args:
        findings: where to.
        folder: the content's folder.
        dim: width D of its vectors; 0 where that is not known.
        words: compare the index of words too, which keeps others from writing meanwhile.
        at_rest: nobody ever writes to it, and this is not to either: it is a snapshot's.
        way_out: what to do where its database is gone, if that is special.
        on_progress: told where it is.
    """
    known = len(findings.problems)
    _check_settings(findings, folder)
    path = folder / DATABASE_FILE
    name = findings.file(path)
    on_progress(f"bytes of {name}", 0, 0)
    findings.counts["files checked"] += 1
    if not path.is_file():
        findings.add("database", path, "it is missing", way_out)
        return
    is_as_sealed = check_bytes(findings, path)
    if not check_log(findings, path):
        return  # SQLite would shorten the log by opening the database
    try:
        # One that is damaged is looked at only: bringing it up to date could damage it further.
        read_only = at_rest or is_as_sealed is False or not is_writable(path)
        _Examination(findings, path, on_progress, read_only=read_only).run(dim)
        if words and is_as_sealed is not False:
            on_progress(f"words of {name}", 0, 0)
            check_words(findings, path)
    except (IndexerError, sqlite3.Error, UnicodeDecodeError) as error:
        # the last one where a name in the file, or SQLite's own message about it, is no text
        if at_rest and isinstance(error, FormatVersionError):
            findings.remarks.append(f"{name} is older than this program: its bytes were compared")
        else:
            findings.add("database", path, str(error))
    finally:
        if at_rest:
            tidy(path)
    if words and is_as_sealed is None and len(findings.problems) == known:
        _seal(path)


def _check_settings(findings: Findings, folder: Path) -> None:
    path = folder / SETTINGS_FILE
    if path.exists() or not (folder / CONFIG_FILE).exists():  # else of format 1, without settings
        check_json(findings, path, "settings")


def _seal(path: Path) -> None:
    """Seal a sound database that a killed run left, so that later damage to any byte shows."""
    with closing(Database(path)) as database:
        database.seal()


@dataclass(slots=True)
class _Examination:
    findings: Findings
    path: Path
    on_progress: OnProgress
    read_only: bool

    def run(self, dim: int) -> None:
        findings, path = self.findings, self.path
        name = findings.file(path)
        with reading(path, read_only=self.read_only) as connection:
            self.on_progress(f"structure of {name}", 0, 0)
            check_structure(connection, findings, path)
            check_tables(connection, findings, path)
            check_ledger(connection, findings, path)
            (total,) = connection.execute("SELECT count(*) FROM documents").fetchone()
            done = 0

            def count() -> None:
                nonlocal done
                done += 1
                self.on_progress(f"documents of {name}", done, total)

            check_documents(connection, findings, path, on_document=count)
            self.on_progress(f"vectors of {name}", 0, 0)
            with closing(Database(path, read_only=self.read_only)) as database:
                archive = VectorArchive(path.parent, database, dim=dim or None)
                with closing(archive):
                    check_vectors(connection, findings, archive)
