"""What a user could tell two collections apart by."""

from __future__ import annotations

import numpy as np

from indexer.collections.collection import Collection


def ledger(collection: Collection) -> list[tuple]:
    return [
        (
            *(row.source, row.document_id, row.path, row.state, row.sha256, row.size),
            *(row.mtime_ns, row.chunks, row.code, row.message, row.hint),
        )
        for row in collection.ledger.rows()
    ]


def vectors(collection: Collection) -> dict[str, np.ndarray]:
    return {
        item.chunk.id: vector
        for stored, found in collection.store.scroll()
        for item, vector in zip(stored, found, strict=True)
    }


def passages(collection: Collection) -> dict[str, tuple]:
    return {
        item.chunk.id: (item.chunk, item.document.source, item.document.title)
        for stored, _ in collection.store.scroll()
        for item in stored
    }


def assert_equal(one: Collection, other: Collection, *, cosine: float = 0.999) -> None:
    assert ledger(one) == ledger(other)
    assert passages(one) == passages(other)
    mine, theirs = vectors(one), vectors(other)
    assert mine.keys() == theirs.keys()
    for key, vector in mine.items():
        assert float(vector @ theirs[key]) >= cosine
    assert one.archive.verify() == other.archive.verify() == []
    assert len(one.archive) == len(other.archive)
