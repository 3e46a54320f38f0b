from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from indexer.evaluation.significance import mean_intervals, paired_p_value


def _values(count, seed=0, metrics=2):
    return np.random.default_rng(seed).random((metrics, count))


def test_intervals_are_the_same_every_time():
    assert mean_intervals([_values(50)]) == mean_intervals([_values(50)])


def test_an_interval_is_about_as_wide_as_the_normal_one():
    values = _values(400)
    for row, interval in zip(values, mean_intervals([values]), strict=True):
        half = 1.96 * row.std() / np.sqrt(len(row))
        assert interval.low == pytest.approx(row.mean() - half, abs=0.1 * half)
        assert interval.high == pytest.approx(row.mean() + half, abs=0.1 * half)


def test_sets_weigh_the_same_whatever_their_size():
    small, large = np.zeros((1, 20)), np.ones((1, 500))
    (interval,) = mean_intervals([small, large])
    assert interval.low == interval.high == 0.5


def test_resampling_stays_within_each_set():
    noisy, constant = _values(30, metrics=1), np.ones((1, 30))
    (alone,) = mean_intervals([noisy])
    (both,) = mean_intervals([noisy, constant])
    assert both.high - both.low == pytest.approx((alone.high - alone.low) / 2, rel=0.1)


def test_one_query_has_no_interval():
    assert mean_intervals([np.ones((2, 1))]) == [None, None]
    assert mean_intervals([np.ones((1, 9)), np.ones((1, 1))]) == [None]


def test_the_test_is_paired_and_two_sided():
    first, second = _values(80)
    expected = stats.ttest_1samp(first - second, 0.0).pvalue
    assert paired_p_value(first, second) == pytest.approx(expected)
    assert paired_p_value(second, first) == pytest.approx(expected)
    assert paired_p_value(first + 0.2 + 0.01 * second, first) < 1e-6


def test_differences_without_spread():
    values = _values(10)[0]
    assert paired_p_value(values, values) == 1.0
    assert paired_p_value(values + 0.25, values) is None
    assert paired_p_value(np.array([1.0]), np.array([0.0])) is None
