"""Answers queries on a collection whose generations may be swapped at any time.

Each search runs in one generation from beginning to end, with that one's vectors, words and
defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.collections.live_generation import LiveGeneration
from indexer.collections.model_check import check_model
from indexer.errors import StorageError
from indexer.searching.search import Searcher, SearchRequest, SearchResult

if TYPE_CHECKING:
    from indexer.collections.generation import Generation
    from indexer.embedder import Embedder

__all__ = ["CollectionSearcher"]

_MAX_ATTEMPTS = 20


class CollectionSearcher:
    """Answers requests on one collection; safe to share between threads if the embedder is.

    Args:
        live: the collection's live generation.
        embedder: loads the model, or returns the loaded one; None allows lexical search only.
        name: the collection, as messages name it.
    """

    def __init__(
        self, live: LiveGeneration, embedder: Callable[[], Embedder] | None, *, name: str
    ) -> None:
        self._live = live
        self._embedder = embedder
        self._name = name

    def search(self, request: SearchRequest) -> SearchResult:
        """Return the hits of a request in the generation that is live when it begins.

        Raises:
            UsageError: the model does not define that many steps, or there is none to ask.
            FingerprintMismatchError: the collection was rebuilt with another model than this
                searcher's; the message says what to do.
            StorageError: the collection's files cannot be read.
        """
        for attempt in range(_MAX_ATTEMPTS):
            # In a block of the caller's the first attempt is in that one's generation.
            with self._live.using(anew=attempt > 0) as generation:
                try:
                    found = self._searcher(generation).search(request)
                    return replace(found, generation=generation.record.number)
                except StorageError:
                    if not generation.is_gone:
                        raise
        raise self._too_fast()

    def refine(self, request: SearchRequest) -> Generator[SearchResult]:
        """Yield what each refinement step finds; see ``Searcher.refine``.

        All results are of one generation. Only where its files are removed meanwhile, two swaps
        later, the steps begin anew in another one. Close the generator in the thread that began it.

        Raises:
            UsageError, FingerprintMismatchError, StorageError: as for ``search``.
        """
        for attempt in range(_MAX_ATTEMPTS):
            with self._live.using(anew=attempt > 0) as generation:
                searcher = self._searcher(generation)
                try:
                    with closing(searcher.refine(request)) as results:
                        for result in results:
                            yield replace(result, generation=generation.record.number)
                        return
                except StorageError:
                    if not generation.is_gone:
                        raise
        raise self._too_fast()

    def _too_fast(self) -> StorageError:
        return StorageError(
            f"collection {self._name!r} is being rebuilt faster than it can be searched; "
            "try again in a moment"
        )

    def _searcher(self, generation: Generation) -> Searcher:
        load = self._embedder

        def fitting() -> Embedder:
            assert load is not None
            embedder = load()
            check_model(generation.config, embedder.info, name=self._name)
            return embedder

        return Searcher(
            generation.store,
            None if load is None else fitting,
            generation.config.fingerprint,
            defaults=generation.query_defaults(),
        )
