"""Sentence pairs scored by people: does the cosine put them in the same order?

A file has one pair per line, between tabs: score, sentence, sentence. Both sentences are embedded
as queries: the task is symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.evaluation.lines import clean_text, text_lines
from indexer.evaluation.results import StsResult, StsRow
from indexer.evaluation.significance import bootstrap_interval
from indexer.evaluation.vectors import VectorFiles

__all__ = ["SentencePairs", "load_sts", "measure_sts"]


@dataclass(frozen=True, slots=True)
class SentencePairs:
    """One file, checked.

    Args:
        name: the file's name without its ending.
        scores: (P,) how alike people found each pair; the more, the higher, on any scale.
        first: P sentences.
        second: P sentences.
    """

    name: str
    scores: NDArray[np.float64]
    first: tuple[str, ...]
    second: tuple[str, ...]


def load_sts(file: Path) -> SentencePairs:
    """Read a file of sentence pairs; a heading is passed over.

    Raises:
        UsageError: the file cannot be read, a line is wrong, or all scores are equal; the message
            names file and line.
    """
    scores: list[float] = []
    sentences: list[tuple[str, str]] = []
    for number, (line, place) in enumerate(text_lines(file)):
        fields = [clean_text(field) for field in line.split("\t")]
        if len(fields) != 3:
            raise UsageError(
                f"{place} has {len(fields)} columns; expected three between tabs: score, sentence, "
                "sentence."
            )
        score = _number(fields[0])
        if score is None and number == 0:
            continue
        if score is None:
            raise UsageError(f"{place}: the score must be a number, but is {fields[0]!r}.")
        if not fields[1] or not fields[2]:
            raise UsageError(f"{place}: a sentence is empty.")
        scores.append(score)
        sentences.append((fields[1], fields[2]))
    if len(set(scores)) < 2:
        raise UsageError(f"{file} needs pairs of at least two different scores to put in order.")
    first, second = zip(*sentences, strict=True)
    return SentencePairs(file.stem, np.array(scores), first, second)


def measure_sts(pairs: SentencePairs, files: VectorFiles, steps: Sequence[int]) -> StsResult:
    """Return Spearman's correlation of cosines with people's scores, at each step count."""
    sentences = list(dict.fromkeys([*pairs.first, *pairs.second]))
    places = {sentence: place for place, sentence in enumerate(sentences)}
    first = [places[sentence] for sentence in pairs.first]
    second = [places[sentence] for sentence in pairs.second]
    embedded = files.embed("query", sentences, steps)
    rows = []
    for step in steps:
        vectors = np.asarray(embedded.vectors[step])  # (N, D)
        cosines = (vectors[first] * vectors[second]).sum(axis=1).astype(np.float64)  # (P,)
        (interval,) = bootstrap_interval(
            [cosines[None], pairs.scores[None]], _spearman, paired=True
        )
        rows.append(StsRow(step, float(_spearman(cosines, pairs.scores)), interval))
    return StsResult(pairs.name, len(pairs.scores), tuple(rows))


def _spearman(first: NDArray[np.float64], second: NDArray[np.float64], axis: int = -1) -> Any:  # noqa: ANN401 - a number for one resample, an array for many
    """Pearson's correlation of ranks, over many resamples at once; 0 where ranks are all equal."""
    from scipy.stats import rankdata

    first, second = rankdata(first, axis=axis), rankdata(second, axis=axis)
    first = first - first.mean(axis=axis, keepdims=True)
    second = second - second.mean(axis=axis, keepdims=True)
    spread = np.sqrt((first**2).sum(axis=axis) * (second**2).sum(axis=axis))
    together = (first * second).sum(axis=axis)
    return np.where(spread > 0, together / np.where(spread > 0, spread, 1.0), 0.0)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
