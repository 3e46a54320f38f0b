"""The evaluation's hybrid run against the search that users have, on a real collection."""

from __future__ import annotations

import pytest

from indexer.collections.library import Library
from indexer.documents import text_hash
from indexer.evaluation.beir import load_beir
from indexer.evaluation.hybrid import LegSearch, fused_rankings
from indexer.evaluation.lexical import lexical_index
from indexer.evaluation.passages import cut_passages
from indexer.indexing.chunking import Chunker, ChunkingConfig
from indexer.searching.results import SearchRequest

STEPS = 2


@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_rankings_are_those_of_a_search_in_a_collection(
    mode, embedder, tiny_model, sample_set, tmp_path
):
    judged = load_beir(sample_set)
    chunker = Chunker(embedder.info.tokenizer_file, ChunkingConfig())
    passages = cut_passages(judged.documents, chunker)
    vectors = embedder.embed_documents(passages.texts, steps=STEPS)
    texts = list(judged.queries.values())[:20]
    queries = embedder.embed_queries(texts, steps=STEPS)
    with lexical_index(passages) as index:
        if mode == "hybrid":
            search = LegSearch(passages, index, {STEPS: vectors})
            legs = search.search(texts, {STEPS: queries})[STEPS]
            measured = fused_rankings(legs, passages)
        else:
            places = {chunk_id: place for place, chunk_id in enumerate(passages.chunk_ids())}
            measured = [
                passages.rank_documents(
                    places[hit.chunk_id] for hit in index.search(text, top_k=passages.depth)
                )
                for text in texts
            ]
    with Library(tmp_path / "home").create(
        "judged", model=str(tiny_model), steps=STEPS
    ) as collection:
        rows = collection.archive.append(list(map(text_hash, passages.texts)), vectors)
        row_of = dict(zip(passages.chunk_ids(), rows, strict=True))
        for document in passages.documents:
            chunks = [chunk for chunk in passages.chunks if chunk.document_id == document.id]
            collection.store.upsert(
                document,
                chunks,
                [row_of[chunk.id] for chunk in chunks],
                modified_at=0.0,
                size_bytes=1,
            )
        searcher = collection.searcher(lambda: embedder)
        for text, ranking in zip(texts, measured, strict=True):
            # no more than the candidates that are fused anyway
            request = SearchRequest(text, top_k=100, mode=mode, steps=STEPS)
            found = searcher.search(request)
            seen = list(dict.fromkeys(hit.document.id for hit in found.hits))
            assert ranking[:10] == seen[:10]
