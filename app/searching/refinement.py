"""What happens to a text, step by step: its soft tokens, its vector, and what it finds.

Knows no Streamlit and draws nothing. Everything is of one run of the model per text, and of the
collection as it stood at one moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.services import Services
from indexer.documents import embedding_text
from indexer.embedder import Embedder, soft_tokens
from indexer.errors import UsageError
from indexer.searching.soft_words import NEAREST, Readability, content_words, readability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.stores.base import StoredChunk, VectorStore

__all__ = [
    "DEPTH",
    "PairStudy",
    "QueryStudy",
    "RankLine",
    "SoftWord",
    "TextRefinement",
    "stable_since",
    "study_pair",
    "study_query",
]

DEPTH = 50
"""How far down the ranking of a collection is followed."""

_TOP, _CLIMBERS = 5, 3


@dataclass(frozen=True, slots=True)
class SoftWord:
    """A word that a soft token is near.

    Args:
        step: which soft token.
        word: as it stands in a text.
        share: of the soft token, 0 to 1.
        is_in_text: whether the text has that word.
    """

    step: int
    word: str
    share: float
    is_in_text: bool


@dataclass(frozen=True, slots=True)
class TextRefinement:
    """One text, refined.

    Args:
        text: what the model read.
        steps: S step counts, from the model's smallest on.
        vectors: (S, D) float32, unit length.
        milliseconds: of each step alone; the first includes reading the text.
        words: what the soft tokens are near, by step and then by falling share.
        readability: what was measured of them; None where there are no soft tokens.
    """

    text: str
    steps: tuple[int, ...]
    vectors: NDArray[np.float32]
    milliseconds: tuple[float, ...]
    words: tuple[SoftWord, ...]
    readability: Readability | None

    def to_previous(self) -> list[float]:
        """Return the cosine of each step's vector with the one before, from the second on."""
        return [float(a @ b) for a, b in zip(self.vectors, self.vectors[1:], strict=False)]

    def to_last(self) -> list[float]:
        """Return the cosine of each step's vector with that of the last step."""
        return [float(one @ self.vectors[-1]) for one in self.vectors]


@dataclass(frozen=True, slots=True)
class RankLine:
    """Where a passage stands in the collection after each step.

    Args:
        chunk_id: which passage.
        label: its document and page, for people.
        excerpt: how it begins.
        ranks: for each step its place, 1 for the best; None below ``DEPTH``.
    """

    chunk_id: str
    label: str
    excerpt: str
    ranks: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class QueryStudy:
    """A query, refined, with what it finds by meaning alone.

    Args:
        collection: what was searched.
        refinement: of the query.
        lines: passages that are among the first ``DEPTH`` after any step; best at the last first.
        passages: how many passages the collection has.
        document_steps: refinement steps of its documents.
    """

    collection: str
    refinement: TextRefinement
    lines: tuple[RankLine, ...]
    passages: int
    document_steps: int

    def followed(self) -> list[RankLine]:
        """Return the passages worth following: the best at the end, and those that climbed most."""
        last = [line for line in self.lines if line.ranks[-1] is not None]
        best = last[:_TOP]
        climbers = sorted(last[_TOP:], key=lambda line: (-_climb(line), line.ranks[-1]))
        return best + [line for line in climbers[:_CLIMBERS] if _climb(line) > 0]


@dataclass(frozen=True, slots=True)
class PairStudy:
    """A query and a passage, step by step.

    Args:
        passage: refined as documents are.
        both: cosine of query and passage, both after the same number of steps.
        stored: cosine of the query after each step with the passage as the collection has it; None
            for a passage that is not from there.
    """

    passage: TextRefinement
    both: tuple[float, ...]
    stored: tuple[float, ...] | None


def study_query(services: Services, collection: str, text: str, *, max_steps: int) -> QueryStudy:
    """Refine a query and follow the ranking of a collection, waiting for its model if need be.

    Raises:
        IndexerError, ModelError: it cannot be done; the message says what to do.
    """
    embedder = _embedder(services, collection)
    refinement = _refine(embedder, text, max_steps, as_query=True, speaks_of=text)
    with services.collections.use(collection) as opened:
        opened.check_model(embedder.info)
        lines = _rank_lines(opened.store, refinement.vectors)
        return QueryStudy(
            collection=collection,
            refinement=refinement,
            lines=lines,
            passages=len(opened.store),
            document_steps=opened.config.steps,
        )


def study_pair(
    services: Services, query: QueryStudy, *, chunk_id: str | None = None, text: str = ""
) -> PairStudy:
    """Compare a refined query with a passage of its collection, or with one that was typed.

    Args:
        services: the parts of the app.
        query: as ``study_query`` returned it.
        chunk_id: a passage of the collection.
        text: a passage of the user's own, where no ``chunk_id`` is given.

    Raises:
        UsageError: the passage is gone, or the text is empty.
        IndexerError, ModelError: it cannot be done; the message says what to do.
    """
    stored: tuple[float, ...] | None = None
    if chunk_id is not None:
        with services.collections.use(query.collection) as opened:
            found = opened.store.get([chunk_id]).get(chunk_id)
            if found is None:
                raise UsageError("This passage was removed or changed meanwhile; ask again.")
            text = embedding_text(found.chunk)
            stored = tuple(
                opened.store.vector_scores(vector, [chunk_id])[chunk_id]
                for vector in query.refinement.vectors
            )
    embedder = _embedder(services, query.collection)
    steps = query.refinement.steps
    passage = _refine(embedder, text, steps[-1], as_query=False, speaks_of=text)
    cosines = (query.refinement.vectors * passage.vectors).sum(axis=1)  # (S,)
    return PairStudy(passage, tuple(cosines.tolist()), stored)


def stable_since(lines: Sequence[RankLine], steps: Sequence[int], top: int) -> int | None:
    """Return the step from which on the first ``top`` places keep their order; None if they don't.

    The last step alone says nothing: it has none after it to be compared with.
    """
    orders = [_order(lines, place, top) for place in range(len(steps))]
    since = len(orders) - 1
    while since and orders[since - 1] == orders[-1]:
        since -= 1
    return steps[since] if since < len(orders) - 1 else None


def _order(lines: Iterable[RankLine], place: int, top: int) -> list[str]:
    ranked = [(line.ranks[place], line.chunk_id) for line in lines]
    return [
        chunk for rank, chunk in sorted((r, c) for r, c in ranked if r is not None and r <= top)
    ]


def _climb(line: RankLine) -> float:
    """Return how far a passage rose; from 4 to 2 counts as much as from 40 to 20."""
    first, last = (DEPTH + 1 if rank is None else rank for rank in (line.ranks[0], line.ranks[-1]))
    return math.log(first / last)


def _embedder(services: Services, collection: str) -> Embedder:
    with services.collections.use(collection) as opened:
        model = opened.config.model
    return services.models.get(model)  # outside: loading takes long, and lent collections stay open


def _refine(
    embedder: Embedder, text: str, max_steps: int, *, as_query: bool, speaks_of: str
) -> TextRefinement:
    cleaned = text.encode("utf-8", "replace").decode("utf-8").strip()
    found = list(
        soft_tokens(embedder, cleaned, max_steps=max_steps, words=NEAREST, as_query=as_query)
    )
    own = content_words(speaks_of)
    return TextRefinement(
        text=cleaned,
        steps=tuple(one.step for one in found),
        vectors=np.stack([one.vector for one in found]),
        milliseconds=tuple(1000.0 * one.seconds for one in found),
        words=tuple(
            SoftWord(one.step, word.strip(), share, word.strip().lower() in own)
            for one in found
            for word, share in one.words
            if word.strip()
        ),
        readability=readability(
            [[word for word, _ in one.words] for one in found if one.words], speaks_of
        ),
    )


def _rank_lines(store: VectorStore, vectors: NDArray[np.float32]) -> tuple[RankLine, ...]:
    rankings = [[hit.chunk_id for hit in hits] for hits in store.search(vectors, top_k=DEPTH)]
    places = [{chunk: rank for rank, chunk in enumerate(ids, start=1)} for ids in rankings]
    # The last step's order first, then whatever earlier steps had besides.
    chunks = list(dict.fromkeys(chunk for ids in reversed(rankings) for chunk in ids))
    stored = store.get(chunks)
    return tuple(
        RankLine(
            chunk_id=chunk,
            label=_label(stored[chunk]),
            excerpt=" ".join(stored[chunk].chunk.text.split())[:120],
            ranks=tuple(ranked.get(chunk) for ranked in places),
        )
        for chunk in chunks
        if chunk in stored
    )


def _label(stored: StoredChunk) -> str:
    page = stored.chunk.page
    title = stored.document.title
    return title if page is None else f"{title}, page {page}"
