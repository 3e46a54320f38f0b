"""Answers queries on one collection: at once, or step by step while they are refined.

Works on every store alike. Lexical search touches no model, and imports neither numpy nor FAISS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING

from indexer.collections.search_defaults import SearchDefaults
from indexer.searching.query_run import QueryRun
from indexer.searching.results import (
    FUSIONS,
    MODES,
    Fusion,
    Grouping,
    Hit,
    Mode,
    SearchRequest,
    SearchResult,
)
from indexer.stores.base import VectorStore

if TYPE_CHECKING:
    from indexer.collections.fingerprint import Fingerprint
    from indexer.embedder import Embedder

__all__ = [
    "FUSIONS",
    "MODES",
    "Fusion",
    "Grouping",
    "Hit",
    "Mode",
    "SearchRequest",
    "SearchResult",
    "Searcher",
]

_NO_DEFAULTS = SearchDefaults()


class Searcher:
    """Answers requests on one collection; safe to share between threads if the embedder is.

    Args:
        store: the collection's store.
        embedder: loads the model, or returns the loaded one; None allows lexical search only.
        fingerprint: what decided the collection's vectors.
        defaults: what the collection chose for requests that say nothing.
        clock: seconds, for timings and budgets.
    """

    def __init__(
        self,
        store: VectorStore,
        embedder: Callable[[], Embedder] | None,
        fingerprint: Fingerprint,
        *,
        defaults: SearchDefaults = _NO_DEFAULTS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._fingerprint = fingerprint
        self._defaults = defaults
        self._clock = clock

    def search(self, request: SearchRequest) -> SearchResult:
        """Return the hits of a request.

        Raises:
            UsageError: the model does not define that many steps, there is none to ask, or none of
                the passages to search by is there.
            StorageError: the collection's files cannot be read.
        """
        run = self._run(request)
        if not request.chooses_steps:
            return run.result()
        *_, last = run.results()
        return last

    def refine(self, request: SearchRequest) -> Generator[SearchResult]:
        """Yield what each refinement step finds, all from one run of the model.

        The first result comes as soon as it can be had, the last one is what ``search`` returns;
        its ``progress.stopped`` says why it is the last. The words are searched once. A step is
        left out only where looking at the collection takes long beside the steps. Whoever has seen
        enough closes the generator: what is not asked for is not computed.

        Where no step is to be watched (lexical mode, a search by passages) there is one result.

        Raises:
            UsageError, StorageError: as for ``search``.
        """
        with closing(self._run(request).results()) as results:
            yield from results

    def _run(self, request: SearchRequest) -> QueryRun:
        return QueryRun(
            self._store,
            self._embedder,
            self._fingerprint,
            request,
            defaults=self._defaults,
            clock=self._clock,
        )
