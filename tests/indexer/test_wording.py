from __future__ import annotations

import pytest

from indexer.searching.refining import Progress
from indexer.wording import (
    count_text,
    duration_text,
    milliseconds_text,
    size_text,
    stability_text,
    stop_text,
)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0.04, "0.0 ms"), (6.94, "6.9 ms"), (9.96, "10 ms"), (38.4, "38 ms"), (1240, "1.2 s")],
)
def test_milliseconds(milliseconds: float, text: str) -> None:
    assert milliseconds_text(milliseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "a few seconds"), (44, "about 40 s"), (200, "about 3 min"), (9000, "about 2.5 h")],
)
def test_durations_are_as_exact_as_an_estimate(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (123_456, "123 kB"),
        (4_200_000, "4.2 MB"),
        (10**12, "1.0 TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_counts() -> None:
    assert [count_text(n, "file") for n in (0, 1, 1204)] == ["0 files", "1 file", "1,204 files"]


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(0, 0, 0, 5, None), "top 5 as of step 0"),
        (Progress(0, 3, 3, 5, None), "top 5 still moving at step 3"),
        (Progress(0, 7, 4, 5, "stable"), "top 5 unchanged since step 4"),
        (Progress(1, 7, 1, 3, "steps"), "top 3 unchanged since step 1"),
        (Progress(0, 7, 2, 1, "steps"), "the only hit unchanged since step 2"),
        (Progress(0, 7, 0, 0, "steps"), "nothing found so far"),
    ],
)
def test_confidence(progress: Progress, text: str) -> None:
    assert stability_text(progress) == text


def test_reasons_to_stop() -> None:
    assert stop_text("budget") == "stopped by the time limit"
