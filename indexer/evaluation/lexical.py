"""Lexical search over a set, by the same tables, words and BM25 that a collection is searched with.

The database lives in a temporary directory, as long as the evaluation of one set.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from indexer.documents import Chunk
from indexer.evaluation.passages import Passages
from indexer.storage.database import Database
from indexer.stores.base import Scored
from indexer.stores.lexical import score_words, search_words
from indexer.stores.writing import replace_document

__all__ = ["LexicalIndex", "lexical_index"]


class LexicalIndex:
    """BM25 over the passages of one set.

    Args:
        connection: a view of the database that holds them.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def search(self, text: str, *, top_k: int) -> list[Scored]:
        """Return the passages of highest BM25, best first."""
        return search_words(self._connection, text, top_k=top_k, documents=None)

    def scores(self, text: str, chunk_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 of a query with each passage; 0.0 where no word matches."""
        return score_words(self._connection, text, chunk_ids)


@contextmanager
def lexical_index(passages: Passages) -> Iterator[LexicalIndex]:
    """Give an index over passages until the block ends."""
    by_document: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk in passages.chunks:
        by_document[chunk.document_id].append(chunk)
    with tempfile.TemporaryDirectory(prefix="gircse-eval-") as folder:
        database = Database(Path(folder) / "collection.db")
        try:
            with database.write() as connection:
                for document in passages.documents:
                    chunks = by_document[document.id]
                    replace_document(
                        connection,
                        document,
                        chunks,
                        rows=[0] * len(chunks),  # the words alone are searched; no vectors
                        modified_at=0.0,
                        size_bytes=len(document.text),
                    )
            with database.read() as connection:
                yield LexicalIndex(connection)
        finally:
            database.close()
