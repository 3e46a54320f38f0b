"""Sets of rows, held against Python's own."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.stores.index_stamp import IndexStamp
from indexer.stores.row_set import RowSet

some_rows = st.sets(st.integers(0, 300), max_size=40)


@given(some_rows, some_rows)
def test_it_is_a_set(one: set[int], other: set[int]) -> None:
    first, second = RowSet.of(one), RowSet.of(other)

    assert set((first & second).rows().tolist()) == one & other
    assert set((first | second).rows().tolist()) == one | other
    assert set((first - second).rows().tolist()) == one - other
    assert (first == second) == (one == other)
    assert len(first) == len(one)
    assert first.rows().tolist() == sorted(one)
    asked = np.arange(-1, 400)
    assert first.has(asked).tolist() == [row in one for row in asked]


@given(some_rows)
def test_packing_keeps_it(rows: set[int]) -> None:
    packed = RowSet.of(rows)
    assert RowSet.unpacked(packed.packed()) == packed
    stamp = IndexStamp("", 0, "hnsw", 1, 1, "", left_behind=IndexStamp.packed(packed))
    assert stamp.left_behind_rows() == packed


def test_a_negative_row_is_refused() -> None:
    with pytest.raises(ValueError, match="no row -1"):
        RowSet.of([3, -1])


def test_a_million_rows_take_a_megabyte() -> None:
    rows = np.arange(1_000_000)
    tracemalloc.start()
    kept = RowSet.of(rows)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(kept) == 1_000_000
    assert size < 1_100_000
    assert len(IndexStamp.packed(kept)) < 200_000
