"""In how many chunks each term of a query occurs: asked of the content, or of Qdrant alone."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from indexer.stores.lexical import chosen_terms
from indexer.stores.qdrant.bm25 import Weighed
from indexer.stores.reading import chunk_count, json_text

if TYPE_CHECKING:
    from indexer.stores.lexical import Term

__all__ = ["content_tokens", "weighed_by_content"]


def weighed_by_content(connection: sqlite3.Connection, text: str) -> Weighed:
    """Return a query's terms with their frequencies, as the collection's own words table has them.

    Inside a transaction of the caller.
    """
    chosen = chosen_terms(connection, text)
    chunks = chunk_count(connection)
    words = [term for term in chosen if term.kind == "word"]
    counts = dict(
        connection.execute(
            "SELECT term, doc FROM chunk_vocabulary WHERE term IN (SELECT value FROM json_each(?))",
            (json_text([term.token for term in words]),),
        ).fetchall()
    )
    frequencies = {
        term: counts[term.token] if term.kind == "word" else _matching(connection, term)
        for term in chosen
    }
    return Weighed(
        {term: count for term, count in frequencies.items() if count},
        chunks,
        content_tokens(connection) / max(chunks, 1),
    )


def content_tokens(connection: sqlite3.Connection) -> int:
    """Return how many tokens all chunks have together.

    FTS5 keeps it, for each column, in a record of its own: SQLite varints, the first of which is
    the number of rows.
    """
    found = connection.execute("SELECT block FROM chunk_words_data WHERE id = 1").fetchone()
    return sum(_varints(found[0])[1:]) if found and found[0] else 0


def _matching(connection: sqlite3.Connection, term: Term) -> int:
    return int(
        connection.execute(
            "SELECT count(*) FROM chunk_words WHERE chunk_words MATCH ?", (term.phrase,)
        ).fetchone()[0]
    )


def _varints(block: bytes) -> list[int]:
    """Decode SQLite's varints: seven bits a byte, the highest first; a ninth byte has all eight."""
    found: list[int] = []
    value = length = 0
    for byte in block:
        length += 1
        if length == 9:
            found.append(value << 8 | byte)
            value = length = 0
        elif byte & 0x80:
            value = value << 7 | byte & 0x7F
        else:
            found.append(value << 7 | byte)
            value = length = 0
    return found
