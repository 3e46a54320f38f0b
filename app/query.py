"""A search as the page asks for it, and its answer; knows no Streamlit.

A search by meaning needs a loaded model. Until it is there, words alone are searched, and the
answer says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from glob import escape

from app.services import Services
from indexer.filters import Where
from indexer.search import Hit, SearchRequest, SearchResult
from indexer.settings import Mode

__all__ = ["PAGE_SIZE", "Answer", "Query", "ask", "is_outdated", "more", "path_pattern"]

PAGE_SIZE = 10


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked.

    Args:
        collection: where.
        text: the words typed.
        mode: which legs to search by.
        steps: refinement steps; None leaves them to the collection.
        media_types: only documents of these types; all when empty.
        path: only documents under this path; all when empty.
    """

    collection: str
    text: str
    mode: Mode = "hybrid"
    steps: int | None = None
    media_types: tuple[str, ...] = ()
    path: str = ""

    def where(self) -> Where | None:
        """Return its conditions on documents; None where there are none."""
        where = Where(path_glob=path_pattern(self.path), media_types=self.media_types)
        return where or None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Args:
        query: what was asked, in the mode that was searched by.
        result: the first page, with its timings.
        hits: all hits that were fetched so far.
        is_complete: there are no further ones.
        notice: what the reader has to know about the mode; empty when there is nothing.
        state: the content that was searched, with its numbers of documents and passages.
    """

    query: Query
    result: SearchResult
    hits: tuple[Hit, ...]
    is_complete: bool
    notice: str
    state: tuple[str, int, int]


def path_pattern(typed: str) -> str | None:
    """Return the glob for what was typed: a pattern as it is, anything else as part of a path."""
    text = typed.strip()
    if not text:
        return None
    return text if any(sign in text for sign in "*?[") else f"*{escape(text)}*"


def ask(services: Services, query: Query) -> Answer:
    """Search.

    Raises:
        IndexerError, ModelError: the search cannot be made; the message says what to do.
    """
    with services.collections.use(query.collection) as collection:
        model = collection.config.model
        notice = ""
        if query.mode != "lexical":
            status = services.models.status(model)
            if status.state == "loading":
                notice = (
                    f"The model {model} is still loading. Until it is ready, words alone count."
                )
            elif status.state == "failed":
                notice = f"Words alone count, as the model {model} is not available: "
                notice += status.problem
            if notice:
                query = replace(query, mode="lexical")
    state = _state(services, query.collection)  # of before: what comes in meanwhile is news
    result = _search(services, query, offset=0)
    return Answer(query, result, result.hits, len(result.hits) < PAGE_SIZE, notice, state)


def more(services: Services, answer: Answer) -> Answer:
    """Return the answer with the next page of hits.

    Where the collection was rebuilt meanwhile, all pages are of the new generation.

    Raises:
        IndexerError, ModelError: as for ``ask``.
    """
    query = answer.query
    state = _state(services, query.collection)
    result = _search(services, query, offset=len(answer.hits))
    if result.generation != answer.result.generation:
        wanted = len(answer.hits) + PAGE_SIZE
        result = _search(services, query, offset=0, top_k=wanted)
        return Answer(query, result, result.hits, len(result.hits) < wanted, answer.notice, state)
    found = result.hits
    # Documents that came in between may push a hit onto the next page once more.
    known = {hit.chunk.id for hit in answer.hits}
    fresh = tuple(hit for hit in found if hit.chunk.id not in known)
    return replace(answer, hits=answer.hits + fresh, is_complete=len(found) < PAGE_SIZE)


def is_outdated(services: Services, answer: Answer) -> bool:
    """Return whether documents changed since the answer was given, or how they are stored did."""
    return _state(services, answer.query.collection) != answer.state


def _state(services: Services, name: str) -> tuple[str, int, int]:
    with services.collections.use(name) as collection, collection.using() as generation:
        totals = generation.ledger.totals()
        return generation.record.content, totals.documents, totals.chunks


def _search(
    services: Services, query: Query, *, offset: int, top_k: int = PAGE_SIZE
) -> SearchResult:
    settings = services.settings
    request = SearchRequest(
        text=query.text.strip(),
        top_k=top_k,
        offset=offset,
        mode=query.mode,
        steps=None if query.mode == "lexical" else query.steps,
        where=query.where(),
        fusion=settings.fusion,
        dense_weight=settings.dense_weight,
    )
    return services.search(query.collection, request)
