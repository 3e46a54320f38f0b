"""Answers a query on one collection: embeds it, searches both legs, fuses, fetches, highlights.

Works on every store alike. Lexical search touches no model, and imports neither numpy nor FAISS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.errors import UsageError
from indexer.fusion import (
    AUTOMATIC,
    automatic_weight,
    deciding_chunks,
    reciprocal_ranks,
    weighted,
)
from indexer.highlighting import highlights_of
from indexer.results import FUSIONS, MODES, Fusion, Hit, Mode, SearchRequest, SearchResult
from indexer.search_defaults import SearchDefaults
from indexer.stores.base import Scored, StoredChunk, VectorStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.embedder import Embedder
    from indexer.fingerprint import Fingerprint

__all__ = ["FUSIONS", "MODES", "Fusion", "Hit", "Mode", "SearchRequest", "SearchResult", "Searcher"]

_MAX_ATTEMPTS = 3
_NO_DEFAULTS = SearchDefaults()


class Searcher:
    """Answers requests on one collection; safe to share between threads if the embedder is.

    Args:
        store: the collection's store.
        embedder: loads the model, or returns the loaded one; None allows lexical search only.
        fingerprint: what decided the collection's vectors.
        defaults: what the collection chose for requests that say nothing.
    """

    def __init__(
        self,
        store: VectorStore,
        embedder: Callable[[], Embedder] | None,
        fingerprint: Fingerprint,
        *,
        defaults: SearchDefaults = _NO_DEFAULTS,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._fingerprint = fingerprint
        self._defaults = defaults

    def search(self, request: SearchRequest) -> SearchResult:
        """Return the hits of a request.

        Raises:
            UsageError: the model does not define that many steps, or there is none to ask.
            StorageError: the collection's files cannot be read.
        """
        clock = _Clock()
        with clock.part("total"):
            query = None if request.mode == "lexical" else self._embed(request, clock)
            for _ in range(_MAX_ATTEMPTS):
                found = self._find(request, query, clock)
                page = found.ranking[request.offset : request.offset + request.top_k]
                with clock.part("fetch"):
                    stored = self._store.get([scored.chunk_id for scored in page])
                if len(stored) == len(page):
                    break  # otherwise documents were replaced meanwhile: look at the new ones
            with clock.part("fetch"):
                hits = _hits(request, found, page, stored)
            total_chunks = len(self._store)
        return SearchResult(
            request=request,
            steps=query.steps if query else None,
            dense_weight=found.dense_weight,
            hits=hits,
            total_chunks=total_chunks,
            timings_ms=clock.milliseconds,
            steps_ms=query.steps_ms if query else (),
            fingerprint=self._fingerprint.as_dict(),
        )

    def _embed(self, request: SearchRequest, clock: _Clock) -> _Query:
        if self._embedder is None:
            raise UsageError(f"a {request.mode} search needs a model; only lexical search does not")
        with clock.part("load"):
            embedder = self._embedder()
        info = embedder.info
        steps = self._defaults.steps if request.steps is None else request.steps
        if steps is None:
            steps = info.default_steps
        if not info.min_steps <= steps <= info.max_steps:
            allowed = (
                f"from {info.min_steps} to {info.max_steps} steps"
                if info.min_steps < info.max_steps
                else f"{info.min_steps} steps only"
            )
            raise UsageError(f"{steps} steps asked for; {info.name} defines {allowed}")
        with clock.part("embed"):
            # No tokenizer takes the lone surrogates that a terminal passes on.
            text = request.text.encode("utf-8", "replace").decode("utf-8")
            refinements = list(embedder.refine(text, max_steps=steps))
        return _Query(
            vector=refinements[-1].vector,
            steps=steps,
            steps_ms=tuple(1000.0 * refinement.seconds for refinement in refinements),
        )

    def _find(self, request: SearchRequest, query: _Query | None, clock: _Clock) -> _Found:
        wanted = request.offset + request.top_k
        if request.mode == "hybrid":
            wanted = max(wanted, request.candidates)
        dense, lexical = _Leg(), _Leg()
        if query is not None:
            with clock.part("dense"):
                found = self._store.search(query.vector[None], top_k=wanted, where=request.where)[0]
                dense = _Leg(found)
        if request.mode != "dense":
            with clock.part("lexical"):
                lexical = _Leg(
                    self._store.search_text(request.text, top_k=wanted, where=request.where)
                )
        if query is None:
            return _Found(lexical.ranking, dense, lexical)
        if request.mode == "dense":
            return _Found(dense.ranking, dense, lexical)
        return self._fuse(request, query, dense, lexical, clock)

    def _fuse(
        self, request: SearchRequest, query: _Query, dense: _Leg, lexical: _Leg, clock: _Clock
    ) -> _Found:
        """Join both legs, after each chunk of one leg got its true score in the other."""
        with clock.part("dense"):
            missing = [chunk_id for chunk_id in lexical.scores if chunk_id not in dense.scores]
            if missing:
                dense.scores.update(self._store.vector_scores(query.vector, missing))
        with clock.part("lexical"):
            missing = [chunk_id for chunk_id in dense.scores if chunk_id not in lexical.scores]
            if missing:
                lexical.scores.update(self._store.text_scores(request.text, missing))
        with clock.part("fuse"):
            if request.fusion == "rrf":
                ranking = reciprocal_ranks(list(dense.ranks), list(lexical.ranks))
                return _Found(ranking, dense, lexical)
            weight = self._weight(request, dense, lexical)
            ranking = weighted(dense.scores, lexical.scores, dense_weight=weight)
        return _Found(ranking, dense, lexical, weight)

    def _weight(self, request: SearchRequest, dense: _Leg, lexical: _Leg) -> float:
        chosen = self._defaults.dense_weight
        if request.dense_weight is not None:
            chosen = request.dense_weight
        if chosen is not None and chosen != AUTOMATIC:
            return chosen
        deciding = deciding_chunks(dense.ranks, lexical.ranks)
        lengths = self._store.lengths(deciding)
        return automatic_weight([lengths[one] for one in deciding if one in lengths])


@dataclass(frozen=True, slots=True)
class _Query:
    """An embedded query."""

    vector: NDArray[np.float32]
    steps: int
    steps_ms: tuple[float, ...]


class _Leg:
    """One way of searching: what it ranked, and scores that may cover more than that."""

    def __init__(self, ranking: Sequence[Scored] = ()) -> None:
        self.ranking = ranking
        self.scores = {hit.chunk_id: hit.score for hit in ranking}
        self.ranks = {hit.chunk_id: rank for rank, hit in enumerate(ranking, start=1)}


@dataclass(frozen=True, slots=True)
class _Found:
    """The final ranking, with the legs behind it."""

    ranking: Sequence[Scored]
    dense: _Leg
    lexical: _Leg
    dense_weight: float | None = None


@dataclass(slots=True)
class _Clock:
    """Sums up the time of each part."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = 1000.0 * (time.perf_counter() - started)
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + elapsed


def _hits(
    request: SearchRequest,
    found: _Found,
    page: Sequence[Scored],
    stored: Mapping[str, StoredChunk],
) -> tuple[Hit, ...]:
    kept = [scored for scored in page if scored.chunk_id in stored]
    passages = [stored[scored.chunk_id].chunk.text for scored in kept]
    return tuple(
        Hit(
            rank=rank,
            score=scored.score,
            chunk=stored[scored.chunk_id].chunk,
            document=stored[scored.chunk_id].document,
            dense_score=found.dense.scores.get(scored.chunk_id),
            dense_rank=found.dense.ranks.get(scored.chunk_id),
            lexical_score=found.lexical.scores.get(scored.chunk_id),
            lexical_rank=found.lexical.ranks.get(scored.chunk_id),
            highlights=tuple(spans),
        )
        for rank, (scored, spans) in enumerate(
            zip(kept, highlights_of(request.text, passages), strict=True), start=request.offset + 1
        )
    )
