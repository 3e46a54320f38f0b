"""Compares what Qdrant has with the content it was made from, and changes neither."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.stores.base import IndexFault
from indexer.stores.qdrant.layout import DENSE, find_metadata
from indexer.stores.qdrant.outbox import last_sequence
from indexer.stores.qdrant.retrieval import dense_of, retrieve
from indexer.stores.qdrant.state import read_state
from indexer.stores.reading import chunk_count, chunk_rows, load_chunks

if TYPE_CHECKING:
    import sqlite3

    from indexer.stores.qdrant.connection import Connection
    from indexer.stores.qdrant.reader import QdrantReader

__all__ = ["compare"]

_SAME = 1e-6  # of an entry of a vector that was neither changed nor stored in halves


def compare(
    connection: Connection,
    reader: QdrantReader,
    database: Database,
    archive: VectorArchive,
    *,
    place: str,
    sample: int,
) -> list[IndexFault]:
    """Return where Qdrant and the content disagree.

    Args:
        connection: where Qdrant is.
        reader: of the Qdrant collection.
        database: the content's.
        archive: the content's.
        place: the Qdrant collection, as faults name it.
        sample: how many points are compared whole.
    """
    with database.read(committed=True) as content:
        chunks = chunk_count(content)
        if find_metadata(connection, reader.name) is None:
            return [IndexFault(place, "it is not there")] if chunks else []
        state = read_state(connection, reader.name)
        behind = last_sequence(content) - (state.sequence if state else 0)
        if behind:
            what = f"it lacks the last {behind:,} changes of documents"
            return [IndexFault(place, what, is_damage=False)]
        counted = connection.read("count", lambda client: client.count(reader.name, exact=True))
        faults = []
        if counted.count != chunks:
            what = f"it holds {counted.count:,} chunks, the collection {chunks:,}"
            faults.append(IndexFault(place, what))
        drawn = _drawn(content, sample)
        return faults + _differences(connection, reader, content, archive, drawn, place)


def _drawn(content: sqlite3.Connection, sample: int) -> list[str]:
    first, last = content.execute("SELECT min(key), max(key) FROM chunks").fetchone()
    if first is None:
        return []
    keys = [random.randint(first, last) for _ in range(sample)]
    found = "SELECT id FROM chunks WHERE key >= ? ORDER BY key LIMIT 1"
    return [content.execute(found, (key,)).fetchone()[0] for key in keys]


def _differences(
    connection: Connection,
    reader: QdrantReader,
    content: sqlite3.Connection,
    archive: VectorArchive,
    chunk_ids: Sequence[str],
    place: str,
) -> list[IndexFault]:
    import numpy as np

    ours, theirs = load_chunks(content, chunk_ids), reader.get(chunk_ids)
    rows = chunk_rows(content, chunk_ids)
    vectors = {
        str(point.id): dense_of(point)
        for point in retrieve(connection, reader.name, chunk_ids, vectors=[DENSE])
    }
    faults = []
    for chunk_id, stored in ours.items():
        what = ""
        if chunk_id not in theirs or chunk_id not in vectors:
            what = "is not there"
        elif theirs[chunk_id] != stored:
            what = "has other text or another document than in the collection"
        else:
            difference = np.abs(archive.read([rows[chunk_id]])[0] - np.array(vectors[chunk_id]))
            if not difference.max() <= _SAME:  # false for NaN
                what = "has another vector than in the collection"
        if what:
            faults.append(IndexFault(place, f"chunk {chunk_id} {what}"))
    return faults
