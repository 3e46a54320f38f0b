"""Measuring an index, and the exact search it is held against."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from indexer.stores.exact_search import nearby_queries, nearest_rows, recall_at
from indexer.stores.index_measurement import measure_index
from indexer.stores.row_set import RowSet
from tests.indexer.stores.content import Opened, open_store, vectors_of

PASSAGES = [f"passage {number}" for number in range(400)]


@pytest.fixture
def opened(tmp_path: Path):
    opened = open_store("faiss hnsw", tmp_path)
    opened.add("a", PASSAGES)
    opened.store.flush()
    yield opened
    opened.close()


def test_the_exact_search_is_that_of_a_plain_loop(opened: Opened, monkeypatch) -> None:
    monkeypatch.setattr("indexer.stores.exact_search._ROWS_PER_READ", 37)
    rows = RowSet.of(range(0, 400, 3))
    queries = vectors_of(["one", "two", "three"])

    found = nearest_rows(opened.archive, rows, queries, top_k=10)

    numbers = rows.rows()
    for query, nearest in zip(queries, found, strict=True):
        cosines = opened.archive.read(numbers) @ query
        best = np.argsort(-cosines)[:10]
        assert nearest.rows.tolist() == numbers[best].tolist()
        assert nearest.scores == pytest.approx(cosines[best], abs=1e-6)
    assert [len(one.rows) for one in nearest_rows(opened.archive, rows, queries, top_k=999)] == [
        len(rows)
    ] * 3


def test_queries_are_a_little_off_stored_vectors(opened: Opened) -> None:
    rows = RowSet.of(range(50))
    queries = nearby_queries(opened.archive, rows, count=20)

    assert queries.shape == (20, 24)
    cosines = (queries @ opened.archive.read(rows.rows()).T).max(axis=1)
    assert cosines.min() > 0.6
    assert cosines.max() < 0.95
    assert len(nearby_queries(opened.archive, rows, count=80)) == 50


def test_recall_is_the_share_that_was_found() -> None:
    exact = [np.array([1, 2]), np.array([3, 4])]
    assert recall_at(exact, [np.array([2, 1, 9]), np.array([4])]) == 0.75
    assert recall_at([], []) == 1.0


def test_an_index_is_measured(opened: Opened) -> None:
    measured = measure_index(opened.store, queries=30)

    assert (measured.index_type, measured.vectors, measured.queries) == ("hnsw", 400, 30)
    assert 0.9 <= measured.recall_at_10 <= 1.0
    assert 0.0 < measured.median_ms <= measured.p95_ms
    assert measured.size_bytes > 400 * 24 * 4
    assert json.loads(json.dumps(measured.as_dict())) == measured.as_dict()


def test_a_bad_index_is_measured_as_such(opened: Opened) -> None:
    with opened.store.dense.snapshot():
        base = opened.store.dense._searched.base
    base.effort = 1
    base.kind = base.kind.__class__("hnsw", "graph", "fp32", "", least_contenders=1)

    measured = measure_index(opened.store, queries=30)

    assert measured.recall_at_10 < 1.0


def test_an_empty_store_can_be_measured(tmp_path: Path) -> None:
    opened = open_store("faiss", tmp_path)
    measured = measure_index(opened.store)
    assert (measured.vectors, measured.queries, measured.recall_at_10) == (0, 0, 1.0)
    opened.add("a", ["alpha"])
    opened.delete("a")
    assert measure_index(opened.store).median_ms == 0.0
    opened.close()
