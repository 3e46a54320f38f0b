"""One document on its way from one content to another, with its row of the ledger.

Knows SQL. Every writing function works inside a transaction of the caller.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from indexer.documents import Chunk, Document, embedding_text, text_hash
from indexer.errors import StorageError
from indexer.reindexing.difference import LEDGER_COLUMNS
from indexer.storage.database import Database
from indexer.stores import reading, writing

__all__ = ["Parcel", "delete_ledger_rows", "load", "store", "store_ledger_rows"]

_COLUMNS = ", ".join(LEDGER_COLUMNS)
_STORE_LEDGER_ROW = (
    f"INSERT OR REPLACE INTO files ({_COLUMNS}, chunks) "
    f"VALUES ({', '.join('?' * len(LEDGER_COLUMNS))}, "
    "(SELECT ifnull(max(chunks), 0) FROM documents WHERE id = ?))"
)
_DOCUMENT_ID = LEDGER_COLUMNS.index("document_id")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A document as it will be stored.

    Args:
        document: with its text.
        chunks: its passages, in order.
        texts: what the model reads for each of them, by ``text_hash``.
        hashes: for each of the chunks the key of its text.
        weight: how many chunks it has where it comes from.
        modified_at: modification time of the file, seconds since the epoch.
        size_bytes: size of the file.
        deflated: its text as it is stored where it comes from.
        ledger_row: ``LEDGER_COLUMNS`` of its row; None when it has none.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    texts: Mapping[bytes, str]
    hashes: tuple[bytes, ...]
    weight: int
    modified_at: float
    size_bytes: int
    deflated: bytes
    ledger_row: tuple[Any, ...] | None


def load(
    database: Database, document_id: str, *, cut: Callable[[Document], list[Chunk]] | None
) -> Parcel | None:
    """Return a document in one state of its database; None when there is none.

    Args:
        database: where it is.
        document_id: which.
        cut: cuts it into chunks; None takes those that it has there.

    Raises:
        StorageError: it is damaged.
    """
    with database.read(committed=True) as connection:
        try:
            document = reading.load_document(connection, document_id)
        except (zlib.error, ValueError) as error:
            raise StorageError(
                f"{database.path}: the text of document {document_id} is damaged ({error}); "
                "remove it with `gircse documents delete` and index its file again"
            ) from error
        if document is None:
            return None
        chunks = reading.load_chunks_of_document(connection, document_id)
        modified_at, size_bytes, deflated = connection.execute(
            "SELECT d.modified_at, d.size_bytes, t.text "
            "FROM documents d JOIN document_texts t ON t.document = d.key WHERE d.id = ?",
            (document_id,),
        ).fetchone()
        ledger_row = connection.execute(
            f"SELECT {_COLUMNS} FROM files WHERE document_id = ?", (document_id,)
        ).fetchone()
    weight = len(chunks)
    if cut is not None:
        chunks = cut(document)
    texts = [embedding_text(chunk) for chunk in chunks]
    hashes = tuple(text_hash(text) for text in texts)
    return Parcel(
        document=document,
        chunks=tuple(chunks),
        texts=dict(zip(hashes, texts, strict=True)),
        hashes=hashes,
        weight=weight,
        modified_at=modified_at,
        size_bytes=size_bytes,
        deflated=deflated,
        ledger_row=ledger_row,
    )


def store(connection: sqlite3.Connection, parcel: Parcel, rows: Mapping[bytes, int]) -> None:
    """Store a document with its ledger row, in the place of what there is of it.

    Args:
        connection: inside a write transaction.
        parcel: the document.
        rows: the archive row of each of its texts.
    """
    writing.replace_document(
        connection,
        parcel.document,
        parcel.chunks,
        [rows[key] for key in parcel.hashes],
        modified_at=parcel.modified_at,
        size_bytes=parcel.size_bytes,
    )
    # Another version of zlib gives other bytes, which a comparison would take for another text.
    connection.execute(
        "UPDATE document_texts SET text = ? "
        "WHERE document = (SELECT key FROM documents WHERE id = ?)",
        (parcel.deflated, parcel.document.id),
    )
    if parcel.ledger_row is not None:
        store_ledger_rows(connection, [parcel.ledger_row])


def store_ledger_rows(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Store rows of the ledger: ``LEDGER_COLUMNS``, and as many chunks as are stored here."""
    connection.executemany(_STORE_LEDGER_ROW, [(*row, row[_DOCUMENT_ID]) for row in rows])


def delete_ledger_rows(connection: sqlite3.Connection, paths: Iterable[bytes]) -> None:
    """Remove rows of the ledger."""
    connection.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in paths])
