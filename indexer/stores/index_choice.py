"""Chooses an index type by the number of vectors, a latency and a memory budget, with reasons.

The estimates are from measurements on two cores without a GPU, with vectors of width 384; what was
built is measured afterwards, see ``index_measurement``.
"""

from __future__ import annotations

from dataclasses import dataclass

from indexer.errors import UsageError
from indexer.stores.index_types import INDEX_TYPES, IndexType

__all__ = [
    "DEFAULT_BUDGET_MS",
    "IndexChoice",
    "IndexEstimate",
    "choose_index",
    "estimate_index",
    "judged",
]

DEFAULT_BUDGET_MS = 50.0
"""A search that takes no longer is felt as immediate, the model's part included."""

_MEASURED_DIM = 384
_AROUND_MS = 2.0  # to score the contenders exactly and look their chunks up
_SCAN_MS_PER_MILLION = {"fp32": 90.0, "fp16": 50.0, "sq8": 60.0}
# Milliseconds at 100,000 vectors, and the power of the number of vectors with which they grow.
_WALK_MS = {
    ("graph", "fp32"): (0.8, 0.26),
    ("graph", "sq8"): (0.8, 0.26),
    ("lists", "sq8"): (0.8, 0.4),
    ("lists", "rabitq"): (0.6, 0.4),
}
# Likewise for building, in seconds.
_BUILD_S = {
    ("scan", "fp32"): (0.5, 1.0),
    ("scan", "fp16"): (0.5, 1.0),
    ("scan", "sq8"): (0.6, 1.0),
    ("graph", "fp32"): (25.0, 1.25),
    ("graph", "sq8"): (30.0, 1.35),
    ("lists", "sq8"): (15.0, 0.8),
    ("lists", "rabitq"): (10.0, 0.8),
}


@dataclass(frozen=True, slots=True)
class IndexEstimate:
    """What an index would be like, roughly.

    Args:
        kind: the kind of index.
        latency_ms: of one dense search without a filter.
        size_mb: in memory and on the disk, in 10**6 bytes.
        build_s: seconds to build it.
    """

    kind: IndexType
    latency_ms: float
    size_mb: float
    build_s: float


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """An index type with the reason for it.

    Args:
        index_type: a name in ``INDEX_TYPES``.
        why: the reason, in a sentence or two, with what was estimated.
    """

    index_type: str
    why: str


def estimate_index(kind: IndexType, count: int, dim: int) -> IndexEstimate:
    """Return what an index over ``count`` vectors of width ``dim`` would be like."""
    lengths = dim / _MEASURED_DIM
    share = max(count, 1) / 100_000
    if kind.structure == "scan":
        search_ms = _SCAN_MS_PER_MILLION[kind.codes] * count / 1e6
    else:
        base_ms, power = _WALK_MS[kind.structure, kind.codes]
        search_ms = base_ms * share**power
    base_s, power = _BUILD_S[kind.structure, kind.codes]
    return IndexEstimate(
        kind=kind,
        latency_ms=_AROUND_MS + search_ms * lengths,
        size_mb=count * kind.vector_bytes(dim) / 1e6,
        build_s=base_s * share**power * lengths,
    )


def choose_index(
    count: int,
    dim: int,
    budget_ms: float | None = None,
    budget_mb: float | None = None,
) -> IndexChoice:
    """Choose the type that misses least among those that keep within the budgets.

    Args:
        count: how many vectors are to be searched.
        dim: their width.
        budget_ms: milliseconds that a dense search may take; None for ``DEFAULT_BUDGET_MS``.
        budget_mb: 10**6 bytes that the index may take; None for any.

    Raises:
        UsageError: a budget is not above 0.
    """
    for name, budget in (("--budget-ms", budget_ms), ("--budget-mb", budget_mb)):
        if budget is not None and not budget > 0:
            raise UsageError(f"{name} must be above 0, not {budget}")
    budgets = _budgets_in_words(budget_ms, budget_mb)
    budget_ms = DEFAULT_BUDGET_MS if budget_ms is None else budget_ms
    # With fewer vectors than a type is for, it would be a flat index under another name.
    kinds = [kind for kind in INDEX_TYPES.values() if count >= kind.least_rows]
    estimates = [estimate_index(kind, count, dim) for kind in kinds]
    small = [one for one in estimates if budget_mb is None or one.size_mb <= budget_mb]
    fitting = [one for one in small if one.latency_ms <= budget_ms]
    vectors = f"{count:,} vectors of width {dim}"
    if fitting:
        chosen = fitting[0]
        passed = ", ".join(_in_words(one) for one in estimates[: estimates.index(chosen)])
        others = f"; ahead of it would be {passed}" if passed else ""
        why = f"{vectors}: {_in_words(chosen)} keeps within {budgets}{others}"
    else:
        # Memory comes first: what is too slow still answers, what does not fit may not.
        chosen = (
            min(small, key=lambda one: one.latency_ms)
            if small
            else min(estimates, key=lambda one: one.size_mb)
        )
        why = f"{vectors}: nothing keeps within {budgets}; {_in_words(chosen)} comes closest"
    return IndexChoice(chosen.kind.name, f"{why}. These are estimates for a CPU")


def judged(
    median_ms: float, size_bytes: int, budget_ms: float | None, budget_mb: float | None
) -> str:
    """Return whether an index keeps within the budgets that it was chosen by, as measured.

    Args:
        median_ms: what a search takes.
        size_bytes: what the index takes.
        budget_ms: milliseconds that a search may take; None for ``DEFAULT_BUDGET_MS``.
        budget_mb: 10**6 bytes that the index may take; None for any.
    """
    over = []
    if median_ms > (DEFAULT_BUDGET_MS if budget_ms is None else budget_ms):
        over.append(f"{_rounded(median_ms)} ms")
    if budget_mb is not None and size_bytes / 1e6 > budget_mb:
        over.append(f"{_rounded(size_bytes / 1e6)} MB")
    verdict = f"takes {' and '.join(over)}, more than that" if over else "keeps within that"
    return f"Measured, it {verdict}"


def _in_words(estimate: IndexEstimate) -> str:
    return (
        f"{estimate.kind.name} (about {_rounded(estimate.latency_ms)} ms, "
        f"{_rounded(estimate.size_mb)} MB, {_rounded(estimate.build_s)} s to build)"
    )


def _budgets_in_words(budget_ms: float | None, budget_mb: float | None) -> str:
    words = f"{DEFAULT_BUDGET_MS:g} ms (the default)" if budget_ms is None else f"{budget_ms:g} ms"
    return words if budget_mb is None else f"{words} and {budget_mb:g} MB"


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"
