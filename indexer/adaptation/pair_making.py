"""From a collection to a file of training pairs: reads, draws, mines, writes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from indexer.adaptation.mining import mine
from indexer.adaptation.mix import PairMix, draw_pairs
from indexer.adaptation.pair_file import write_pairs
from indexer.adaptation.pairs import Pair
from indexer.adaptation.passages import Passage, read_passages
from indexer.adaptation.written_queries import QueryWriter, WritingReport, write_pairs_for
from indexer.documents import embedding_text
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.embedder import Embedder

__all__ = ["MIN_PAIRS", "Activity", "PairReport", "make_pairs"]

MIN_PAIRS = 64
"""Fewer teach nothing: it is one batch of the small model."""

Activity = Literal["writing queries", "mining negatives"]


@dataclass(frozen=True, slots=True)
class PairReport:
    """What was made.

    Args:
        file: where it was written.
        passages: how many passages the pairs were made from.
        kinds: how many pairs of each kind.
        writing: what became of the queries that a language model wrote; None without one.
    """

    file: Path
    passages: int
    kinds: dict[str, int]
    writing: WritingReport | None = None

    @property
    def pairs(self) -> int:
        """How many pairs in all."""
        return sum(self.kinds.values())


def make_pairs(
    collection: Collection,
    file: Path,
    *,
    embedder: Embedder,
    mix: PairMix | None = None,
    writer: QueryWriter | None = None,
    on_progress: Callable[[Activity, int, int], None] = lambda activity, done, total: None,
) -> PairReport:
    """Write training pairs made of a collection's own passages, without any labels.

    The collection is only read. Equal collections, models and mixes give equal files.

    Args:
        collection: with its documents indexed.
        file: ``.jsonl.gz`` to write; replaced when it is there.
        embedder: the collection's model.
        mix: what to make; None takes the defaults.
        writer: a language model that writes queries as well.
        on_progress: told what is being done, how much of it is done, and of how many.

    Raises:
        FingerprintMismatchError: ``embedder`` is not the collection's model.
        UsageError: the collection holds too little text, or fewer pairs are asked for than training
            needs.
        StorageError: the file cannot be written.
    """
    with collection.using():  # one generation throughout, whatever is swapped meanwhile
        return _make_pairs(
            collection,
            file,
            embedder=embedder,
            mix=mix or PairMix(),
            writer=writer,
            on_progress=on_progress,
        )


def _make_pairs(
    collection: Collection,
    file: Path,
    *,
    embedder: Embedder,
    mix: PairMix,
    writer: QueryWriter | None,
    on_progress: Callable[[Activity, int, int], None],
) -> PairReport:
    if mix.pairs < MIN_PAIRS:
        raise UsageError(f"{mix.pairs} pairs are asked for; training needs at least {MIN_PAIRS}")
    collection.check_model(embedder.info)
    passages = read_passages(collection.store, limit=mix.passages, seed=mix.seed)
    report = WritingReport() if writer else None
    written: Iterable[Pair] = ()
    if writer and report:
        # More than are drawn, as many will not be kept.
        asked = random.Random(mix.seed).sample(passages, min(mix.pairs, len(passages)))
        written = write_pairs_for(
            asked,
            writer,
            collection.store,
            embedder,
            steps=collection.config.steps,
            report=report,
            on_progress=lambda done: on_progress("writing queries", done, len(asked)),
        )
    pairs = draw_pairs(passages, mix, written=written)
    if len(pairs) < MIN_PAIRS:
        raise UsageError(
            f"collection {collection.name!r} has {len(passages)} passages, of which {len(pairs)} "
            f"pairs can be made; training needs at least {MIN_PAIRS}. Index more documents first."
        )
    mined: Iterable[Sequence[str]] = [()] * len(pairs)
    if mix.negatives:
        mined = mine(
            pairs,
            collection.store,
            embedder,
            steps=collection.config.steps,
            on_progress=lambda done: on_progress("mining negatives", done, len(pairs)),
        )
    negatives = [chunk_ids[: mix.negatives] for chunk_ids in mined]
    write_pairs(
        file,
        pairs,
        negatives=negatives,
        texts=_texts(collection, passages, negatives),
        source=collection.name,
    )
    kinds = Counter(pair.kind for pair in pairs)
    return PairReport(file, len(passages), dict(kinds.most_common()), report)


def _texts(
    collection: Collection, passages: Sequence[Passage], named: Sequence[Sequence[str]]
) -> dict[str, str]:
    """Return the text of every hard negative that is still there, as it was indexed."""
    texts = {passage.chunk_id: passage.full_text for passage in passages}
    others = {chunk_id for chunk_ids in named for chunk_id in chunk_ids} - set(texts)
    found = collection.store.get(sorted(others))
    return texts | {chunk_id: embedding_text(stored.chunk) for chunk_id, stored in found.items()}
