"""Compares the tables of a content's database with each other: ledger, payloads, words, vectors.

Every function works inside a read transaction of the caller.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from indexer.storage.ledger import STATES
from indexer.verification.documents import id_of_source
from indexer.verification.findings import Findings, Part

__all__ = ["check_ledger", "check_tables", "garbled_rows"]

_MOST_NAMED = 3
_ESCAPED = re.compile("[\udc80-\udcff]")
_STATES = ", ".join(f"'{state}'" for state in STATES)

_COUNTED: tuple[tuple[Part, str, str], ...] = (
    (
        "documents",
        "SELECT count(*) FROM chunks c LEFT JOIN documents d ON d.key = c.document "
        "WHERE d.key IS NULL",
        "{:,} passages belong to no document",
    ),
    (
        "documents",
        "SELECT count(*) FROM document_texts t LEFT JOIN documents d ON d.key = t.document "
        "WHERE d.key IS NULL",
        "{:,} texts belong to no document",
    ),
    (
        "words",
        "SELECT count(*) FROM chunk_words_content w LEFT JOIN chunks c ON c.key = w.id "
        "WHERE c.key IS NULL",
        "the words of {:,} passages are there that no document has",
    ),
    (
        "words",
        "SELECT count(*) FROM chunks c LEFT JOIN chunk_words_docsize s ON s.id = c.key "
        "LEFT JOIN chunk_words_content w ON w.id = c.key WHERE s.id IS NULL OR w.id IS NULL",
        "{:,} passages cannot be found by their words",
    ),
    (
        "documents",
        "SELECT abs((SELECT count(*) FROM chunks) - value) FROM state WHERE name = 'chunks'",
        "the number of passages is noted wrong by {:,}",
    ),
    (
        "vectors",
        "SELECT ifnull(max(row) + 1, 0) - count(*) + (ifnull(min(row), 0) != 0) FROM vectors",
        "{:,} rows of vectors have no name",
    ),
)

_LEDGER: tuple[tuple[str, str], ...] = (
    (
        "SELECT source FROM files f WHERE chunks > 0 AND NOT EXISTS "
        "(SELECT 1 FROM documents d WHERE d.id = f.document_id AND d.chunks = f.chunks)",
        "the ledger has other passages of it than are stored",
    ),
    (
        "SELECT source FROM files f WHERE chunks = 0 AND EXISTS "
        "(SELECT 1 FROM documents d WHERE d.id = f.document_id AND d.chunks > 0)",
        "the ledger says that nothing of it is stored",
    ),
    (
        "SELECT source FROM documents d WHERE NOT EXISTS "
        "(SELECT 1 FROM files f WHERE f.document_id = d.id)",
        "the ledger does not know it, so no run will ever update it",
    ),
    (
        f"SELECT source FROM files WHERE state NOT IN ({_STATES}) OR typeof(chunks) != 'integer' "
        "OR chunks < 0 OR (state = 'ready' AND sha256 IS NULL)",
        "its row in the ledger makes no sense",
    ),
)


def check_tables(connection: sqlite3.Connection, findings: Findings, path: Path) -> None:
    """Note where tables do not fit together.

    Args:
        connection: inside a read transaction.
        findings: where to.
        path: the database file, as it is to be named.
    """
    for part, question, what in _COUNTED:
        found = connection.execute(question).fetchone()
        if found is None or found[0]:
            findings.add(part, path, what.format(1 if found is None else found[0]))
    findings.counts["passages"] += connection.execute("SELECT count(*) FROM chunks").fetchone()[0]


def check_ledger(connection: sqlite3.Connection, findings: Findings, path: Path) -> None:
    """Note files of which the ledger says other things than the stored documents do.

    Args:
        connection: inside a read transaction.
        findings: where to.
        path: the database file, as it is to be named.
    """
    for question, what in _LEDGER:
        _note(findings, path, [source for (source,) in connection.execute(question)], what)
    files = connection.execute("SELECT source, document_id FROM files")
    strangers = []
    for source, identity in files:
        findings.counts["files"] += 1
        if identity != id_of_source(source):
            strangers.append(source)
    _note(findings, path, strangers, "its document in the ledger is not the one of its path")
    garbled = [source for source in garbled_rows(connection).values() if source not in strangers]
    _note(findings, path, garbled, "its row in the ledger holds bytes that are no text")


def garbled_rows(connection: sqlite3.Connection) -> dict[bytes, str]:
    """Return paths and sources of ledger rows with bytes that are no text.

    Args:
        connection: decodes with ``surrogateescape``.
    """
    columns = "path, source, state, code, message, hint, sha256"
    return {
        path: str(texts[0])
        for path, *texts in connection.execute(f"SELECT {columns} FROM files")
        if any(_ESCAPED.search(text) for text in texts if isinstance(text, str))
    }


def _note(findings: Findings, path: Path, sources: list[str], what: str) -> None:
    if sources:
        more = f" and {len(sources) - _MOST_NAMED:,} more" if len(sources) > _MOST_NAMED else ""
        named = f"{', '.join(sources[:_MOST_NAMED])}{more}"
        findings.add("ledger", path, f"{named}: {what}", documents=tuple(sources))
