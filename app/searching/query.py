"""A search as the page asks for it, and its answers while it is refined; knows no Streamlit.

A search by meaning needs a loaded model. Until it is there, words alone are searched, and the
answer says so.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from glob import escape
from typing import Literal

from app.services import Services
from indexer.searching.filters import Where
from indexer.searching.search import Grouping, Hit, SearchRequest, SearchResult
from indexer.settings import Mode

__all__ = [
    "PAGE_SIZE",
    "Answer",
    "Effort",
    "Query",
    "is_outdated",
    "more",
    "path_pattern",
    "refine",
]

PAGE_SIZE = 10

Effort = Literal["steps", "budget", "auto"]
"""Who chooses how far to refine: the user by steps, the user by time, or the search itself."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked.

    Args:
        collection: where.
        text: the words typed; empty where passages are searched by.
        mode: which legs to search by.
        effort: what decides how far to refine.
        steps: refinement steps, for the effort of that name; None leaves them to the collection.
        budget_ms: time to answer within, for the effort of that name.
        media_types: only documents of these types; all when empty.
        path: only documents under this path; all when empty.
        after: only documents changed that day or later.
        before: only documents changed that day or earlier.
        grouping: one hit per passage, or the passages of each document together.
        like: ids of passages to find more of.
        unlike: ids of passages to find less of.
    """

    collection: str
    text: str
    mode: Mode = "hybrid"
    effort: Effort = "steps"
    steps: int | None = None
    budget_ms: float | None = None
    media_types: tuple[str, ...] = ()
    path: str = ""
    after: date | None = None
    before: date | None = None
    grouping: Grouping = "passage"
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    def where(self) -> Where | None:
        """Return its conditions on documents; None where there are none."""
        where = Where(
            path_glob=path_pattern(self.path),
            media_types=self.media_types,
            modified_after=None if self.after is None else _begin_of(self.after),
            modified_before=None
            if self.before is None
            else _begin_of(self.before + timedelta(days=1)),
        )
        return where or None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Args:
        query: what was asked, in the mode that was searched by.
        result: the first page, with its timings.
        hits: all hits that were fetched so far.
        is_complete: there are no further ones.
        is_final: it is not being refined any more.
        notice: what the reader has to know about the mode; empty when there is nothing.
        state: the content that was searched, with its numbers of documents and passages.
    """

    query: Query
    result: SearchResult
    hits: tuple[Hit, ...]
    is_complete: bool
    is_final: bool
    notice: str
    state: tuple[str, int, int]


def path_pattern(typed: str) -> str | None:
    """Return the glob for what was typed: a pattern as it is, anything else as part of a path."""
    text = typed.strip()
    if not text:
        return None
    return text if any(sign in text for sign in "*?[") else f"*{escape(text)}*"


def refine(services: Services, query: Query) -> Generator[Answer]:
    """Search, and yield what is found with every step that the query is refined by.

    Close the generator in the thread that began it, to search for something else.

    Raises:
        IndexerError, ModelError: the search cannot be made; the message says what to do.
    """
    query, notice = _answerable(services, query)
    state = _state(services, query.collection)  # of before: what comes in meanwhile is news
    request = _request(services, query)
    with closing(services.refine(query.collection, request)) as results:
        for result in results:
            progress = result.progress
            yield Answer(
                query,
                result,
                result.hits,
                is_complete=_count(query, result.hits) < PAGE_SIZE,
                is_final=progress is None or progress.stopped is not None,
                notice=notice,
                state=state,
            )


def more(services: Services, answer: Answer) -> Answer:
    """Return the answer with the next page of hits, of as many steps as the first one had.

    Where the collection was rebuilt meanwhile, all pages are of the new generation.

    Raises:
        IndexerError, ModelError: as for ``refine``.
    """
    query = answer.query
    state = _state(services, query.collection)
    shown = _count(query, answer.hits)
    result = services.search(query.collection, _next_request(services, answer, offset=shown))
    if result.generation != answer.result.generation:
        wanted = shown + PAGE_SIZE
        request = _next_request(services, answer, offset=0, top_k=wanted)
        result = services.search(query.collection, request)
        is_complete = _count(query, result.hits) < wanted
        return replace(
            answer, result=result, hits=result.hits, is_complete=is_complete, state=state
        )
    found = result.hits
    # Documents that came in between may push a hit onto the next page once more.
    known = {hit.chunk.id for hit in answer.hits}
    fresh = tuple(hit for hit in found if hit.chunk.id not in known)
    return replace(answer, hits=answer.hits + fresh, is_complete=_count(query, found) < PAGE_SIZE)


def is_outdated(services: Services, answer: Answer) -> bool:
    """Return whether documents changed since the answer was given, or how they are stored did."""
    return _state(services, answer.query.collection) != answer.state


def _answerable(services: Services, query: Query) -> tuple[Query, str]:
    """Return the query in a mode that can be searched by now, and what to say of that."""
    if query.mode == "lexical" or not query.text.strip():
        return query, ""
    with services.collections.use(query.collection) as collection:
        model = collection.config.model
    status = services.models.status(model)
    if status.state == "ready":
        return query, ""
    notice = f"The model {model} is still loading. Until it is ready, words alone count."
    if status.state == "failed":
        notice = f"Words alone count, as the model {model} is not available: {status.problem}"
    return replace(query, mode="lexical", like=(), unlike=()), notice


def _state(services: Services, name: str) -> tuple[str, int, int]:
    with services.collections.use(name) as collection, collection.using() as generation:
        totals = generation.ledger.totals()
        return generation.record.content, totals.documents, totals.chunks


def _request(services: Services, query: Query) -> SearchRequest:
    settings = services.settings
    mode: Mode = query.mode if query.text.strip() else "dense"
    return SearchRequest(
        text=query.text.strip(),
        top_k=PAGE_SIZE,
        mode=mode,
        steps=query.steps if query.effort == "steps" and mode != "lexical" else None,
        where=query.where(),
        fusion=settings.fusion,
        dense_weight=settings.dense_weight,
        budget_ms=query.budget_ms if query.effort == "budget" else None,
        until_stable=query.effort == "auto",
        like=query.like if mode != "lexical" else (),
        unlike=query.unlike if mode != "lexical" else (),
        grouping=query.grouping,
    )


def _next_request(
    services: Services, answer: Answer, *, offset: int, top_k: int = PAGE_SIZE
) -> SearchRequest:
    return replace(
        _request(services, answer.query),
        offset=offset,
        top_k=top_k,
        steps=answer.result.steps,
        budget_ms=None,
        until_stable=False,
    )


def _count(query: Query, hits: tuple[Hit, ...]) -> int:
    """Return how many of what pages count: passages, or documents."""
    if query.grouping == "passage":
        return len(hits)
    return len({hit.document.id for hit in hits})


def _begin_of(day: date) -> float:
    return datetime.combine(day, time()).timestamp()
