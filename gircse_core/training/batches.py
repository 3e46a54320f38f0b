"""Which pairs make up batch number n: decided by the seed and n alone.

So a run that was interrupted goes on with the batch it would have had, without replaying anything,
and several processes share the work by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gircse_core.errors import TrainingInputError
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.pairs import Pair, PairSet

__all__ = ["Batch", "BatchPlan", "duplicate_mask"]

# Independent streams of random numbers under one seed.
_SOURCES, _BLOCKS, _NEGATIVES = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs of one source and P passages: theirs first, then hard negatives.

    Args:
        number: counts all batches of the run.
        source: where the pairs come from.
        queries: B texts.
        passages: P texts; row i is the positive of query i.
        mask: (B, P) bool, True where a passage is no negative of a query.
    """

    number: int
    source: str
    queries: list[str]
    passages: list[str]
    mask: torch.Tensor


class BatchPlan:
    """All batches of a run.

    Each batch takes its pairs from one source, in blocks of consecutive lines. Every source is gone
    through in its own random order of blocks, anew when it is through; where the blocks begin
    differs each time.

    Args:
        pairs: the data.
        config: resolved.
        batches: how many batches the run has.

    Raises:
        TrainingInputError: a source has fewer pairs than a batch, or all weights are 0.
    """

    def __init__(self, pairs: PairSet, config: TrainingConfig, *, batches: int) -> None:
        assert config.batch_size is not None  # resolved
        self._pairs = pairs
        self._config = config
        self._batch_size = config.batch_size
        self._blocks_per_batch = -(-config.batch_size // config.block_size)
        names = sorted(pairs.sources)
        shares = _shares(pairs, names, config)
        names = [name for name, share in zip(names, shares, strict=True) if share]
        self._check_sizes(names)
        self.shares: dict[str, float] = {
            name: float(share)
            for name, share in zip(sorted(pairs.sources), shares, strict=True)
            if share
        }
        # One uniform number per batch, so that a longer run begins like a shorter one.
        drawn = np.random.default_rng([config.seed, _SOURCES]).random(batches)
        edges = np.cumsum([self.shares[name] for name in names])
        self._source_of = np.minimum(np.searchsorted(edges, drawn, "right"), len(names) - 1)
        self._turn_of = _occurrences(self._source_of)
        self._names = names

    def __len__(self) -> int:
        return len(self._source_of)

    def batch(self, number: int) -> Batch:
        """Return batch ``number``, from 0."""
        index = int(self._source_of[number])
        source = self._names[index]
        lines = self._lines(index, int(self._turn_of[number]))
        pairs = [self._pairs.sources[source][line] for line in lines]
        queries = [pair.query for pair in pairs]
        passages = [pair.passage for pair in pairs] + self._hard_negatives(pairs, number)
        return Batch(number, source, queries, passages, duplicate_mask(queries, passages))

    def _lines(self, index: int, turn: int) -> NDArray[np.int64]:
        """Return the lines of a source's batch number ``turn``."""
        size = len(self._pairs.sources[self._names[index]])
        block = self._config.block_size
        blocks = max(size // block, 1)
        per_pass = max(blocks // self._blocks_per_batch, 1)
        lap, position = divmod(turn, per_pass)
        random = np.random.default_rng([self._config.seed, _BLOCKS, index, lap])
        # Where the lines do not fill whole blocks, other lines are left over in each lap.
        offset = int(random.integers(size))
        order = random.permutation(blocks)
        mine = order[position * self._blocks_per_batch :][: self._blocks_per_batch]
        lines = (mine[:, None] * block + np.arange(block)).ravel() + offset
        if len(lines) < self._batch_size:  # the source is hardly larger than one batch
            lines = random.permutation(size)
        return np.asarray(lines[: self._batch_size] % size, dtype=np.int64)

    def _hard_negatives(self, pairs: Sequence[Pair], number: int) -> list[str]:
        wanted = self._config.hard_negatives
        if not wanted:
            return []
        random = np.random.default_rng([self._config.seed, _NEGATIVES, number])
        chosen: list[str] = []
        for pair in pairs:
            order = random.permutation(len(pair.negatives))[:wanted]
            chosen += [pair.negatives[int(place)] for place in order]
        return chosen

    def _check_sizes(self, names: Sequence[str]) -> None:
        if not names:
            raise TrainingInputError("All sources have the weight 0; nothing is left to train on.")
        sizes = {name: len(self._pairs.sources[name]) for name in names}
        small = {name: size for name, size in sizes.items() if size < self._batch_size}
        if small:
            raise TrainingInputError(
                f"These sources have fewer pairs than a batch of {self._batch_size}: {small}. "
                f"Use a batch of at most {min(small.values())}, or leave them out."
            )


def duplicate_mask(queries: Sequence[str], passages: Sequence[str]) -> torch.Tensor:
    """Return (B, P) bool: True where passage j also answers query i, as far as the texts tell.

    That is where it equals the query's own passage, or belongs to an equal query. The query's own
    passage counts as well; ``info_nce`` keeps it.
    """
    query_ids, passage_ids = _text_ids(queries), _text_ids(passages)
    rows = len(queries)
    same_passage = passage_ids[:rows, None] == passage_ids[None]  # (B, P)
    same_query = query_ids[:, None] == query_ids[None]  # (B, B)
    # What answers an equal query answers this one.
    return (same_query.float() @ same_passage.float()) > 0  # (B, P)


def _text_ids(texts: Sequence[str]) -> torch.Tensor:
    numbers: dict[str, int] = {}
    return torch.tensor(
        [numbers.setdefault(" ".join(text.split()).casefold(), len(numbers)) for text in texts]
    )


def _shares(pairs: PairSet, names: Sequence[str], config: TrainingConfig) -> NDArray[np.float64]:
    """Return how likely each source is to be drawn."""
    weights = dict(config.source_weights)
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise TrainingInputError(
            f"There are no sources {unknown} to weigh; the files hold {list(names)}."
        )
    sizes = np.array([len(pairs.sources[name]) for name in names], dtype=np.float64)
    capped = np.minimum(sizes, config.source_cap) if config.source_cap else sizes
    factors = np.array([weights.get(name, 1.0) for name in names])
    shares = factors * capped**config.source_exponent
    total = shares.sum()
    return shares / total if total else shares


def _occurrences(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each element, how many equal ones came before it."""
    turns = np.zeros(len(values), dtype=np.int64)
    for value in np.unique(values):
        places = np.flatnonzero(values == value)
        turns[places] = np.arange(len(places))
    return turns
