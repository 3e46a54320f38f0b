"""Phrases in the chunks of a Qdrant collection, compared by their texts exactly as FTS5 would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.searching.stemming import matching
from indexer.searching.words import pieces
from indexer.stores.lexical import phrase_expression
from indexer.stores.qdrant.retrieval import id_parts, retrieve

if TYPE_CHECKING:
    from indexer.stores.qdrant.connection import Connection

__all__ = ["containing"]


def containing(
    connection: Connection, name: str, phrase: str, chunk_ids: Sequence[str]
) -> set[str]:
    """Return those of the chunks that contain a phrase.

    Args:
        connection: where.
        name: of the Qdrant collection.
        phrase: one word or more; what has none is contained in nothing.
        chunk_ids: the chunks to look at; their texts are fetched.
    """
    expression = phrase_expression(phrase)
    if not expression:
        return set()
    found: set[str] = set()
    for part in id_parts(chunk_ids):
        points = list(retrieve(connection, name, part, payload=["context", "text"]))
        payloads = [point.payload or {} for point in points]
        texts = [(str(one["context"]), str(one["text"])) for one in payloads]
        columns = [(context, text, pieces(f"{context}\n{text}")) for context, text in texts]
        matches = matching(columns, expression)
        found.update(
            str(point.id) for point, is_match in zip(points, matches, strict=True) if is_match
        )
    return found
