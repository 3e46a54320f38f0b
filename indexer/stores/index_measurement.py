"""Measures an index: what it misses beside an exact search, and how long a search takes."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.stores.exact_search import nearby_queries, nearest_rows, recall_at

if TYPE_CHECKING:
    from indexer.stores.faiss import FaissStore

__all__ = ["IndexMeasurement", "measure_index"]


@dataclass(frozen=True, slots=True)
class IndexMeasurement:
    """What was measured.

    Args:
        index_type: what it was built as: flat, where there are too few vectors for another type.
        vectors: how many it holds.
        queries: how many were asked, each a little off some stored vector.
        recall_at_10: share of the ten closest vectors that were found, from 0.0 to 1.0.
        median_ms: of a dense search without a filter, chunks looked up, text not loaded.
        p95_ms: 95 of 100 such searches take no longer.
        size_bytes: of the index on the disk.
    """

    index_type: str
    vectors: int
    queries: int
    recall_at_10: float
    median_ms: float
    p95_ms: float
    size_bytes: int

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return asdict(self)


def measure_index(store: FaissStore, *, queries: int = 100, seed: int = 0) -> IndexMeasurement:
    """Search for a sample of stored vectors, moved a little, and compare with an exact search.

    Reads all vectors once. Of an empty store the recall is 1.0 and the times are 0.0.

    Args:
        store: what to measure; its index is loaded if it was not.
        queries: how many searches.
        seed: draws the sample.

    Raises:
        StorageError: the archive is damaged.
    """
    dense = store.dense
    with dense.snapshot():
        rows = dense.rows
        asked = nearby_queries(dense.archive, rows, count=queries, seed=seed)
        found = dense.contenders(asked, top_k=10, rows=None)
        built_as = dense.built_as
    exact = nearest_rows(dense.archive, rows, asked, top_k=10)
    milliseconds = []
    for query in asked:
        started = time.perf_counter()
        store.search(query[None], top_k=10)
        milliseconds.append(1000.0 * (time.perf_counter() - started))
    median, p95 = np.percentile(milliseconds, [50, 95]) if milliseconds else (0.0, 0.0)
    return IndexMeasurement(
        index_type=built_as,
        vectors=len(rows),
        queries=len(asked),
        recall_at_10=recall_at([one.rows for one in exact], found),
        median_ms=float(median),
        p95_ms=float(p95),
        size_bytes=dense.size_bytes(),
    )
