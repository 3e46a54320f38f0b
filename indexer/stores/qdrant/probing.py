"""Frequencies of a query's terms, asked of Qdrant alone: for readers without the content.

Qdrant tells no frequencies, but it multiplies every weight by the term's rarity, which is made of
its frequency: the best chunk for the term alone, with the weight that this chunk holds, says it.
Exact where a collection is one shard without points that wait to be cleared away; elsewhere as near
as Qdrant's own statistics are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import TYPE_CHECKING

from indexer.stores.lexical import Term, asked_terms, telling_terms
from indexer.stores.qdrant.bm25 import Weighed, dimension
from indexer.stores.qdrant.layout import WORDS
from indexer.stores.qdrant.retrieval import words_of

if TYPE_CHECKING:
    from indexer.stores.qdrant.connection import Connection
    from indexer.stores.qdrant.state import State

__all__ = ["Probe"]

_MOST_TERMS = 256
_PER_REQUEST = 64
_MOST_KNOWN = 20_000


class Probe:
    """Asks for frequencies, and remembers them until the collection changes.

    Args:
        connection: where.
        name: of the Qdrant collection.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._stamp = ""
        self._known: dict[Term, int] = {}

    def weighed(self, text: str, state: State) -> Weighed:
        """Return a query's terms with their frequencies in the collection of that state."""
        if state.stamp != self._stamp or len(self._known) > _MOST_KNOWN:
            self._stamp, self._known = state.stamp, {}
        known = self._known  # another thread may begin a new one
        asked = asked_terms(text)[:_MOST_TERMS]
        unknown = [term for term in asked if term not in known]
        for begin in range(0, len(unknown), _PER_REQUEST):
            part = unknown[begin : begin + _PER_REQUEST]
            known.update(zip(part, self._frequencies(part, state.chunks), strict=True))
        found = {term: known[term] for term in asked if known[term]}
        # For the choice alone, as in the embedded store: nothing there says it at once.
        for_choice = {
            term: 1 if term.kind == "character" else count for term, count in found.items()
        }
        chosen = telling_terms(for_choice, total=state.chunks)
        return Weighed({term: found[term] for term in chosen}, state.chunks, state.average)

    def _frequencies(self, terms: Sequence[Term], chunks: int) -> list[int]:
        from qdrant_client import models

        places = [dimension(term.kind, term.token) for term in terms]
        requests = [
            models.QueryRequest(
                query=models.SparseVector(indices=[place], values=[1.0]),
                using=WORDS,
                limit=1,
                with_payload=False,
                with_vector=[WORDS],
            )
            for place in places
        ]
        answers = self._connection.read(
            "search for words",
            lambda client: client.query_batch_points(self._name, requests=requests),
        )
        found = []
        for place, answer in zip(places, answers, strict=True):
            frequency = 0
            for point in answer.points:
                indices, values = words_of(point)
                weight = values[indices.index(place)]
                frequency = round((chunks + 1) / exp(point.score / weight) - 0.5)
            found.append(min(max(frequency, 1), chunks) if answer.points else 0)
        return found
