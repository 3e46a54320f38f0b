"""Which index type is chosen, and what is said about it."""

from __future__ import annotations

import pytest

from indexer.errors import UsageError
from indexer.stores.index_choice import choose_index, estimate_index, judged
from indexer.stores.index_types import INDEX_TYPES


@pytest.mark.parametrize(
    ("count", "budget_ms", "budget_mb", "expected"),
    [
        (0, None, None, "flat"),
        (1_000, None, None, "flat"),
        (100_000, None, None, "flat"),
        (100_000, 8, None, "sqfp16"),
        (100_000, None, 100, "sqfp16"),
        (100_000, None, 50, "sq8"),
        (100_000, 4, None, "hnsw"),
        (100_000, 4, 100, "hnsw_sq8"),
        (100_000, 4, 50, "ivf_sq8"),
        (100_000, None, 10, "ivf_rabitq"),
        (1_000_000, None, None, "hnsw"),
        (1_000_000, 200, None, "flat"),
        (1_000_000, None, 1000, "hnsw_sq8"),
        (1_000_000, None, 100, "ivf_rabitq"),
        (500, 4, 0.2, "sq8"),
    ],
)
def test_the_best_within_the_budgets_is_chosen(count, budget_ms, budget_mb, expected) -> None:
    choice = choose_index(count, 384, budget_ms, budget_mb)

    assert choice.index_type == expected
    assert f"{count:,} vectors of width 384: {expected} (about" in choice.why
    assert f"{budget_ms or 50:g} ms" in choice.why
    assert ("50 ms (the default)" in choice.why) == (budget_ms is None)
    assert budget_mb is None or f"{budget_mb:g} MB" in choice.why
    assert "estimates" in choice.why


def test_the_reason_names_what_was_passed_over() -> None:
    why = choose_index(1_000_000, 384, 50).why
    assert why.startswith("1,000,000 vectors of width 384: hnsw (about 3.5 ms, 1,816 MB, 445 s")
    assert "ahead of it would be flat (about 92 ms, 1,544 MB, 5.0 s to build), sqfp16" in why


def test_memory_counts_more_than_time_where_both_cannot_be_had() -> None:
    choice = choose_index(1_000_000, 384, 0.5, 500)
    assert choice.index_type == "ivf_rabitq"
    assert "nothing keeps within 0.5 ms and 500 MB" in choice.why

    choice = choose_index(1_000_000, 384, 0.5, 1)
    assert choice.index_type == "ivf_rabitq"
    assert "comes closest" in choice.why


def test_what_was_chosen_by_estimates_is_judged_by_what_was_measured() -> None:
    assert judged(49.9, 10**9, None, None) == "Measured, it keeps within that"
    assert judged(63.4, 10**9, None, None) == "Measured, it takes 63 ms, more than that"
    over = judged(4.2, 350_000_000, 4, 300)
    assert over == "Measured, it takes 4.2 ms and 350 MB, more than that"


@pytest.mark.parametrize("budgets", [(0, None), (-1, None), (None, 0), (float("nan"), None)])
def test_a_budget_of_nothing_is_refused(budgets) -> None:
    with pytest.raises(UsageError, match="must be above 0"):
        choose_index(10, 384, *budgets)


@pytest.mark.parametrize("kind", INDEX_TYPES.values(), ids=lambda kind: kind.name)
def test_more_and_wider_vectors_cost_more(kind) -> None:
    small, many, wide = (
        estimate_index(kind, count, dim)
        for count, dim in ((10**5, 384), (10**6, 384), (10**5, 768))
    )
    for more in (many, wide):
        assert more.latency_ms > small.latency_ms
        assert more.size_mb > 1.5 * small.size_mb
        assert more.build_s > small.build_s
