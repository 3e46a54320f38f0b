"""Judged queries, searched: over a collection as it stands, or over a set in the BEIR layout.

Both give the same to ``indexer.evaluation.tuning``; a collection's queries go through its store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation.hybrid import Legs, LegSearch, fuse_by_default
from indexer.evaluation.judgements import Judgements
from indexer.evaluation.latency import embedding_ms, median_ms, spread
from indexer.evaluation.lexical import lexical_index
from indexer.evaluation.metrics import RANKING_DEPTH
from indexer.evaluation.passages import whole_passages
from indexer.evaluation.study import EvaluationProgress
from indexer.evaluation.tuning import JudgedLegs
from indexer.searching.fusion import deciding_chunks
from indexer.searching.results import SearchRequest
from indexer.stores.base import Scored, VectorStore

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.embedder import Embedder
    from indexer.evaluation.beir import BeirSet
    from indexer.evaluation.vectors import VectorFiles

__all__ = ["OnProgress", "judged_collection", "judged_set"]

OnProgress = Callable[[EvaluationProgress], None]

_CANDIDATES = SearchRequest("any").candidates


def judged_collection(
    collection: Collection,
    judgements: Judgements,
    embedder: Embedder,
    *,
    steps: Sequence[int],
    on_progress: OnProgress,
) -> JudgedLegs:
    """Search a collection for every judged query, at every step count.

    Args:
        collection: searched as it stands.
        judgements: of its documents.
        embedder: the collection's model.
        steps: step counts of the queries, rising.
        on_progress: told after each query.
    """
    texts = list(judgements.queries.values())
    legs: dict[int, list[Legs]] = {step: [] for step in steps}
    for number, text in enumerate(texts, start=1):
        for refinement in embedder.refine(text, max_steps=steps[-1]):
            if refinement.step in legs:
                found = _legs(collection.store, text, refinement.vector)
                legs[refinement.step].append(found)
        on_progress(EvaluationProgress(f"{collection.name}: searching", number, len(texts)))
    return JudgedLegs(
        name=collection.name,
        qrels=judgements.qrels,
        legs=legs,
        rank_documents=_by_document(collection.store, legs),
        latency_ms=_latencies(collection, embedder, spread(texts), steps, on_progress),
    )


def judged_set(
    judged: BeirSet, files: VectorFiles, *, steps: Sequence[int], on_progress: OnProgress
) -> JudgedLegs:
    """Search a set in the BEIR layout, queries and documents at the same step count.

    Args:
        judged: the set; its documents are taken whole.
        files: embeds.
        steps: the step counts, rising.
        on_progress: told what is being done.
    """
    passages = whole_passages(judged.documents)
    texts = list(judged.queries.values())
    vectors = files.embed("document", passages.texts, steps).vectors
    queries = files.embed("query", texts, steps).vectors
    on_progress(EvaluationProgress(f"{judged.name}: searching"))
    with lexical_index(passages) as index:
        search = LegSearch(passages, index, vectors)
        legs = search.search(texts, queries)
        sample, first = spread(range(len(texts))), steps[0]

        def ask(number: int) -> None:
            asked = {first: queries[first][number : number + 1]}
            fuse_by_default(search.search([texts[number]], asked)[first][0])

        search_ms = median_ms(ask, sample)
    embed_ms = embedding_ms(files.embedder, [texts[number] for number in sample], steps)
    places = {chunk_id: place for place, chunk_id in enumerate(passages.chunk_ids())}
    return JudgedLegs(
        name=judged.name,
        qrels=judged.qrels,
        legs=legs,
        rank_documents=lambda hits: passages.rank_documents(places[hit.chunk_id] for hit in hits),
        latency_ms={step: embed_ms[step] + search_ms for step in steps},
    )


def _legs(store: VectorStore, text: str, vector: NDArray[np.float32]) -> Legs:
    """Return what hybrid search fuses: the candidates of both legs, with true scores in both."""
    dense = {hit.chunk_id: hit.score for hit in store.search(vector[None], top_k=_CANDIDATES)[0]}
    words = {hit.chunk_id: hit.score for hit in store.search_text(text, top_k=_CANDIDATES)}
    deciding = deciding_chunks(dense, words)
    lengths = store.lengths(deciding)
    return Legs(
        text,
        dense=dense | store.vector_scores(vector, [one for one in words if one not in dense]),
        lexical=words | store.text_scores(text, [one for one in dense if one not in words]),
        lengths=[lengths[one] for one in deciding if one in lengths],
    )


def _by_document(
    store: VectorStore, legs: dict[int, list[Legs]]
) -> Callable[[Sequence[Scored]], list[str]]:
    """Return what ranks documents by their best chunks."""
    chunks = sorted({one for found in legs.values() for pair in found for one in pair.dense})
    owners = {one: stored.document.id for one, stored in store.get(chunks).items()}

    def rank(hits: Sequence[Scored]) -> list[str]:
        ranked = dict.fromkeys(owners[hit.chunk_id] for hit in hits if hit.chunk_id in owners)
        return list(ranked)[:RANKING_DEPTH]

    return rank


def _latencies(
    collection: Collection,
    embedder: Embedder,
    texts: Sequence[str],
    steps: Sequence[int],
    on_progress: OnProgress,
) -> dict[int, float]:
    """Return the median time of whole searches, as a user waits for them."""
    searcher = collection.searcher(lambda: embedder)
    searcher.search(SearchRequest(texts[0], steps=steps[-1]))  # the first one warms up
    taken: dict[int, list[float]] = {step: [] for step in steps}
    for number, text in enumerate(texts):
        on_progress(EvaluationProgress(f"{collection.name}: timing searches", number, len(texts)))
        for step in steps:
            result = searcher.search(SearchRequest(text, steps=step))
            taken[step].append(result.timings_ms["total"])
    return {step: median(times) for step, times in taken.items()}
