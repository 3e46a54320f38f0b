"""What one content still lacks to hold the same documents as another.

Compares by what is stored, never by notes of what was copied: whatever a kill, a rollback or a
writer did to either side, the next comparison sees it. Knows SQL, neither vectors nor models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from indexer.storage.connections import connect, sqlite_errors

__all__ = ["LEDGER_COLUMNS", "Changed", "Comparison", "Pending"]

LEDGER_COLUMNS = (
    *("path", "source", "document_id", "size", "mtime_ns", "sha256"),
    *("state", "code", "message", "hint", "updated_at"),
)
"""Columns of a ledger row that must agree. The number of chunks need not: it depends on how
documents are cut."""

_PAGE = 256
_DOCUMENT = ("source", "title", "media_type", "modified_at", "size_bytes", "metadata")


def _same(columns: Sequence[str], *, mine: str, theirs: str) -> str:
    # IS, for NULL equals NULL here; and a row that is absent differs
    return " AND ".join(f"{mine}.{column} IS {theirs}.{column}" for column in columns)


_SAME_DOCUMENT = (
    f"{_same(_DOCUMENT, mine='d', theirs='s')} "
    f"AND {_same(('text', 'sections'), mine='dt', theirs='st')}"
)
_DOCUMENTS = (
    "source.documents s JOIN source.document_texts st ON st.document = s.key "
    "LEFT JOIN main.documents d ON d.id = s.id "
    "LEFT JOIN main.document_texts dt ON dt.document = d.key"
)
_FILES = "source.files s LEFT JOIN main.files f ON f.path = s.path"
_SAME_FILE = _same(LEDGER_COLUMNS, mine="f", theirs="s")
_GONE = "main.documents d WHERE NOT EXISTS (SELECT 1 FROM source.documents s WHERE s.id = d.id)"
_GONE_FILE = "main.files f WHERE NOT EXISTS (SELECT 1 FROM source.files s WHERE s.path = f.path)"


@dataclass(frozen=True, slots=True)
class Pending:
    """How much is to be done.

    Args:
        documents: documents of the source that are missing or other.
        chunks: chunks that those have in the source.
        gone: documents that the source has no more.
        files: rows of the ledger that are missing, other or gone.
    """

    documents: int
    chunks: int
    gone: int
    files: int

    def __bool__(self) -> bool:
        return self.documents + self.gone + self.files > 0


@dataclass(frozen=True, slots=True)
class Changed:
    """A document of the source that is missing or other.

    Args:
        document_id: which.
        chunks: how many chunks it has in the source.
    """

    document_id: str
    chunks: int


class Comparison:
    """Two databases side by side; a context manager.

    Every page that is asked for sees both as they are at that moment, and keeps neither from being
    written meanwhile.

    Args:
        source: the database whose documents are wanted.
        target: the database that shall hold them.
        same_cutting: whether both cut documents alike, so that numbers of chunks must agree.
    """

    def __init__(self, source: Path, target: Path, *, same_cutting: bool) -> None:
        self._target = target
        same_chunks = " AND d.chunks IS s.chunks" if same_cutting else ""
        self._differs = f"NOT ({_SAME_DOCUMENT}{same_chunks})"
        self._connection = connect(target, create=False)
        try:
            self._attach(source)
        except BaseException:
            self._connection.close()
            raise

    def pending(self) -> Pending:
        """Return how much is to be done; reads all of both."""
        documents, chunks = self._numbers(
            f"SELECT count(*), total(s.chunks) FROM {_DOCUMENTS} WHERE {self._differs}"
        )
        (gone,) = self._numbers(f"SELECT count(*) FROM {_GONE}")
        (other_files,) = self._numbers(f"SELECT count(*) FROM {_FILES} WHERE NOT ({_SAME_FILE})")
        (gone_files,) = self._numbers(f"SELECT count(*) FROM {_GONE_FILE}")
        return Pending(documents, chunks, gone, other_files + gone_files)

    def changed(self) -> Iterator[Changed]:
        """Yield documents that are missing or other, in order of their ids."""
        columns = "s.id, s.chunks"
        for row in self._pages(columns, _DOCUMENTS, self._differs, order="s.id", first=""):
            yield Changed(*row)

    def gone(self) -> Iterator[str]:
        """Yield ids of documents that the source has no more."""
        tables, _, condition = _GONE.partition(" WHERE ")
        for (identity,) in self._pages("d.id", tables, condition, order="d.id", first=""):
            yield identity

    def ledger_rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield rows of the source's ledger that are missing or other: ``LEDGER_COLUMNS``."""
        columns = ", ".join(f"s.{column}" for column in LEDGER_COLUMNS)
        yield from self._pages(columns, _FILES, f"NOT ({_SAME_FILE})", order="s.path", first=b"")

    def gone_paths(self) -> Iterator[bytes]:
        """Yield paths that the source's ledger has no more."""
        tables, _, condition = _GONE_FILE.partition(" WHERE ")
        for (path,) in self._pages("f.path", tables, condition, order="f.path", first=b""):
            yield path

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _attach(self, source: Path) -> None:
        address = f"file:{quote(os.fsencode(source.absolute()))}?mode=ro"
        with sqlite_errors(source):
            self._connection.execute("ATTACH ? AS source", (address,))
            self._connection.execute("PRAGMA query_only = ON")

    def _pages(
        self, columns: str, tables: str, condition: str, *, order: str, first: str | bytes
    ) -> Iterator[tuple[Any, ...]]:
        # page by page, so that no transaction stays open while the rows are worked on
        last = first
        while True:
            with sqlite_errors(self._target):
                page = self._connection.execute(
                    f"SELECT {columns} FROM {tables} WHERE {order} > ? AND ({condition}) "
                    f"ORDER BY {order} LIMIT {_PAGE}",
                    (last,),
                ).fetchall()
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1][0]  # what it is ordered by comes first

    def _numbers(self, question: str) -> list[int]:
        with sqlite_errors(self._target):
            return [int(number) for number in self._connection.execute(question).fetchone()]
