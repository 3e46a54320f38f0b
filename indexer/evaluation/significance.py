"""How far a figure may be off, and whether a difference is more than chance.

Intervals: the bootstrap over queries, with a fixed seed, so that a table can be repeated to the
last digit. Differences: the paired t-test over queries, two-sided. It needs no random numbers, and
for the number of queries that sets have it agrees with the randomisation test and errs less often.

Sources: Smucker, Allan, Carterette, CIKM 2007; Urbano, Lima, Hanjalic, SIGIR 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "Interval",
    "bootstrap_interval",
    "mean_intervals",
    "paired_p_value",
]

CONFIDENCE = 0.95
RESAMPLES = 2000
_SEED = 20250924
_BATCH_VALUES = 2**24


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle 95 % of what resampled queries would have given."""

    low: float
    high: float


def mean_intervals(samples: Sequence[NDArray[np.float64]]) -> list[Interval | None]:
    """Return an interval for each metric's mean over sets, queries resampled within their set.

    Args:
        samples: for each set (M, Q) values of M metrics; Q differs from set to set.

    Returns:
        M intervals; None where a set has a single query, which says nothing about others.
    """

    def mean(*sets: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        total: NDArray[np.float64] = sum(
            (values.mean(axis=axis) for values in sets[1:]), start=sets[0].mean(axis=axis)
        )
        return total / len(sets)

    return bootstrap_interval(samples, mean, paired=False)


def bootstrap_interval(
    samples: Sequence[NDArray[np.float64]], statistic: Callable[..., Any], *, paired: bool
) -> list[Interval | None]:
    """Return percentile intervals of a statistic.

    Args:
        samples: arrays of shape (M, Q).
        statistic: takes them, and ``axis``; gives M values.
        paired: resample the same columns in all samples.
    """
    from scipy import stats  # takes a second to import

    if min(sample.shape[-1] for sample in samples) < 2:
        return [None] * samples[0].shape[0]
    largest = max(sample.size for sample in samples)
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH_VALUES // largest),
        paired=paired,
        vectorized=True,
        axis=-1,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return [
        Interval(float(low), float(high))
        for low, high in zip(np.ravel(found.low), np.ravel(found.high), strict=True)
    ]


def paired_p_value(values: NDArray[np.float64], reference: NDArray[np.float64]) -> float | None:
    """Return the chance of a mean difference this large if there were none.

    Args:
        values: (Q,) of one run.
        reference: (Q,) of the other, query by query the same.

    Returns:
        1.0 where no query differs; None where the differences have no spread to judge by: a single
        query, or the same difference everywhere.
    """
    differences = values - reference
    if not differences.any():
        return 1.0
    if len(differences) < 2 or np.ptp(differences) < 1e-12:
        return None
    from scipy import stats

    return float(stats.ttest_rel(values, reference).pvalue)
