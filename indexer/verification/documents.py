"""Compares what the database holds of each document with its checksums, ids and vectors' names.

Every function works inside a read transaction of the caller, on a connection whose texts are
decoded with ``surrogateescape``: an altered byte must not end the reading.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.documents import chunk_id, document_id, text_hash
from indexer.stores.digests import content_digest, record_digest
from indexer.verification.findings import Findings

__all__ = ["LOST", "AlteredDocument", "altered_documents", "check_documents", "id_of_source"]

_DOCUMENTS = (
    "SELECT d.key, d.chunks, d.content_sha256, d.record_sha256, t.text, t.sections, "
    "d.id, d.source, d.title, d.media_type, d.modified_at, d.size_bytes, d.metadata "
    "FROM documents d LEFT JOIN document_texts t ON t.document = d.key ORDER BY d.key"
)
# The words are read from the table behind FTS5, which asks nothing of the index.
_CHUNKS = (
    "SELECT v.hash, c.id, c.start, c.end, c.page, w.c0, w.c1, w.c2 FROM chunks c "
    "LEFT JOIN chunk_words_content w ON w.id = c.key LEFT JOIN vectors v ON v.row = c.row "
    "WHERE c.document = ? ORDER BY c.key"
)
_WAITING = "SELECT document_id FROM files WHERE state = 'queued' AND sha256 IS NULL"
_REMEDY = (
    "they are queued to be read again: run `gircse index FOLDER -c {name}`; those whose files are "
    "gone for good, remove with `gircse documents delete`"
)
_MOST_NAMED = 3

LOST = b"lost"
"""How the name of a vector begins that a repair could not read, and that no text has."""

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AlteredDocument:
    """A document that is not what was stored.

    Args:
        id: its id, as the database has it.
        source: where it came from, as the database has it.
        reason: what is wrong.
    """

    id: str
    source: str
    reason: str


def check_documents(
    connection: sqlite3.Connection,
    findings: Findings,
    path: Path,
    *,
    on_document: Callable[[], None],
) -> None:
    """Note which documents are not what was stored.

    Args:
        connection: inside a read transaction.
        findings: where to.
        path: the database file, as it is to be named.
        on_document: called for each one.
    """
    waiting = {identity for (identity,) in connection.execute(_WAITING)}
    sources: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for altered in altered_documents(connection, on_document=on_document):
        sources[altered.reason, altered.id in waiting].append(altered.source)
    for (reason, is_waiting), found in sources.items():
        more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
        what = f"{', '.join(found[:_MOST_NAMED])}{more}: {reason}"
        remedy = _REMEDY.format(name=findings.name) if is_waiting else ""
        findings.add("documents", path, what, remedy, documents=tuple(found))
    totals = "SELECT count(*), count(content_sha256) FROM documents"
    total, with_checksum = connection.execute(totals).fetchone()
    findings.counts["documents"] += total
    if with_checksum < total:
        findings.remarks.append(
            f"{findings.file(path)}: {total - with_checksum:,} documents were stored before "
            f"documents had checksums; `gircse verify {findings.name} --repair` adds them"
        )


def altered_documents(
    connection: sqlite3.Connection, *, on_document: Callable[[], None] = lambda: None
) -> Iterator[AlteredDocument]:
    """Yield the documents that are not what was stored.

    Args:
        connection: inside a read transaction.
        on_document: called for each one, altered or not.
    """
    for key, count, content, record, *values in connection.execute(_DOCUMENTS):
        chunks = connection.execute(_CHUNKS, (key,)).fetchall()
        reason = _fault(count, content, record, values, chunks)
        if reason:
            yield AlteredDocument(str(values[2]), str(values[3]), reason)
        on_document()


def id_of_source(source: str) -> str:
    """Return the id of the document at a source; none for one whose bytes are no text any more."""
    try:
        return document_id(source)
    except UnicodeEncodeError:
        return ""


def _fault(
    count: int,
    content: bytes | None,
    record: bytes | None,
    values: Sequence[Any],
    chunks: list[_Row],
) -> str:
    packed, sections, identity, source, *_ = values
    try:
        text = zlib.decompress(packed).decode("utf-8")
    except (zlib.error, UnicodeDecodeError, TypeError):
        return "its text cannot be read"
    if identity != id_of_source(source):
        return "its id is not that of its path"
    if count != len(chunks):
        return f"it has {len(chunks)} passages of {count}"
    if not all(_is_of_text(chunk, identity, text) for chunk in chunks):
        return "a passage is not the text at its place in the document"
    if any(_has_lost_vector(chunk) for chunk in chunks):
        return "the vector of a passage was lost"
    if not all(_is_of_vector(chunk) for chunk in chunks):
        return "the vector of a passage was made from another text"
    if content is None:
        return ""  # stored before there were checksums
    if content != content_digest(text, sections, [chunk[1:] for chunk in chunks]):
        return "its text or passages differ from what was written"
    if record != record_digest(content, *values[2:]):
        return "its title, time or other facts differ from what was written"
    return ""


def _is_of_text(chunk: _Row, document: str, text: str) -> bool:
    _, identity, start, end, _, _, words, _ = chunk
    if not isinstance(words, str) or not (isinstance(start, int) and isinstance(end, int)):
        return False
    if text[start:end] != words:
        return False
    return bool(identity == chunk_id(document, start, end, words))  # the document's is sound


def _has_lost_vector(chunk: _Row) -> bool:
    return isinstance(chunk[0], bytes) and chunk[0].startswith(LOST)


def _is_of_vector(chunk: _Row) -> bool:
    vector_hash, _, _, _, _, context, words, _ = chunk
    # as documents.embedding_text puts them together
    return bool(vector_hash == text_hash(f"{context}\n{words}" if context else words))
