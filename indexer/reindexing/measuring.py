"""What a new index misses and how long it takes, found out before searches are led to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from indexer.stores.exact_search import nearby_queries, nearest_rows
from indexer.stores.faiss import FaissStore
from indexer.stores.index_measurement import measure_index
from indexer.stores.row_set import RowSet

if TYPE_CHECKING:
    from indexer.collections.generation import Generation
    from indexer.stores.base import VectorStore

__all__ = ["measured"]

_QUERIES = 50
_TOP_K = 10
_TIE = 1e-4  # scores of a server are rounded


def measured(generation: Generation) -> dict[str, object]:
    """Return recall at 10 against an exact search, latencies in milliseconds, and sizes.

    Reads all vectors once.

    Raises:
        StorageError: the vectors are damaged, or a server does not answer.
    """
    store = generation.store
    if isinstance(store, FaissStore):
        return measure_index(store).as_dict()
    return _searched(generation, store)


def _searched(generation: Generation, store: VectorStore) -> dict[str, object]:
    """Measure a store by its searches alone."""
    with generation.database.read() as connection:
        used = connection.execute("SELECT DISTINCT row FROM chunks").fetchall()
    rows = RowSet.of(np.array([row for (row,) in used], dtype=np.int64))
    queries = nearby_queries(generation.archive, rows, count=_QUERIES)
    exact = nearest_rows(generation.archive, rows, queries, top_k=_TOP_K)
    wanted, found, milliseconds = 0, 0, []
    for query, nearest in zip(queries, exact, strict=True):
        started = time.perf_counter()
        (hits,) = store.search(query[None], top_k=_TOP_K)
        milliseconds.append(1000.0 * (time.perf_counter() - started))
        # by scores: several chunks may share a row
        wanted += len(nearest.scores)
        close = sum(hit.score >= nearest.scores[-1] - _TIE for hit in hits)
        found += min(close, len(nearest.scores))
    median, p95 = np.percentile(milliseconds, [50, 95]) if milliseconds else (0.0, 0.0)
    return {
        "vectors": len(rows),
        "queries": len(queries),
        "recall_at_10": found / wanted if wanted else 1.0,
        "median_ms": float(median),
        "p95_ms": float(p95),
    }
