"""Hard negatives: passages that rank high for a pair's query and are not what answers it.

Uses the legs that a search uses, lexical and dense, over the store's own index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from indexer.adaptation.pairs import Pair
from indexer.documents import embedding_text
from indexer.searching.words import terms

if TYPE_CHECKING:
    from indexer.embedder import Embedder
    from indexer.stores.base import VectorStore

__all__ = ["mine"]

_QUERIES_AT_A_TIME = 256
_NEAR_DUPLICATE = 0.9
"""Share of the smaller text's words that two texts have in common when one repeats the other."""

_ASKS_FOR_ONE_PASSAGE = frozenset({"sentence", "cloze", "keywords", "written"})
"""Kinds whose query is about one passage: others of its document are negatives like any other, and
the hardest. A title or a passage asks for its document as a whole."""


def mine(
    pairs: Sequence[Pair],
    store: VectorStore,
    embedder: Embedder,
    *,
    steps: int,
    depth: int = 12,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Iterator[list[str]]:
    """Yield the hard negatives of each pair as chunk ids, hardest first.

    Both legs take turns; left out are the pair's own passage, passages that repeat it or hold every
    word of the query, and, where the query asks for a document, all passages of that document.

    Args:
        pairs: with passages of the store.
        store: of the collection.
        embedder: the model that the store's vectors were made with.
        steps: refinement steps of the queries.
        depth: how many passages of each leg are looked at.
        on_progress: told how many pairs are done.
    """
    known = _Words(store)
    for begin in range(0, len(pairs), _QUERIES_AT_A_TIME):
        part = pairs[begin : begin + _QUERIES_AT_A_TIME]
        vectors = embedder.embed_queries([pair.query for pair in part], steps=steps)
        dense = store.search(vectors, top_k=depth)
        for pair, closest in zip(part, dense, strict=True):
            lexical = store.search_text(pair.query, top_k=depth)
            turns = (hit for both in zip_longest(lexical, closest) for hit in both)
            ranked = dict.fromkeys(hit.chunk_id for hit in turns if hit is not None)
            yield _negatives(pair, list(ranked), known)
        on_progress(begin + len(part))


class _Words:
    """The document and the words of chunks, each read once: the same ones rank high for many."""

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self._known: dict[str, tuple[str, frozenset[str]]] = {}

    def of(self, chunk_ids: Sequence[str]) -> dict[str, tuple[str, frozenset[str]]]:
        """Return document id and words of each chunk that is still there."""
        unread = [chunk_id for chunk_id in chunk_ids if chunk_id not in self._known]
        for chunk_id, stored in self._store.get(unread).items() if unread else ():
            words = _words(embedding_text(stored.chunk))
            self._known[chunk_id] = (stored.document.id, words)
        return {key: self._known[key] for key in chunk_ids if key in self._known}


def _negatives(pair: Pair, ranked: Sequence[str], known: _Words) -> list[str]:
    asked, own = _words(pair.query), _words(pair.passage.full_text)
    kept = []
    for chunk_id, (document_id, words) in known.of(ranked).items():
        if chunk_id == pair.passage.chunk_id:
            continue
        if document_id == pair.passage.document_id and pair.kind not in _ASKS_FOR_ONE_PASSAGE:
            continue
        if asked <= words or _repeats(own, words):
            continue
        kept.append(chunk_id)
    return kept


def _repeats(words: frozenset[str], others: frozenset[str]) -> bool:
    smaller = min(len(words), len(others))
    return smaller > 0 and len(words & others) >= _NEAR_DUPLICATE * smaller


def _words(text: str) -> frozenset[str]:
    found = terms(text)
    return frozenset(found.words) | frozenset(found.pieces)
