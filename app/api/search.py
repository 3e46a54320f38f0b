"""Searching: the same questions and answers as on the page and the command line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.operations import Answer, Asked, Operation
from app.services import Services
from indexer.filters import Where
from indexer.search import Fusion, Hit, Mode, SearchRequest, SearchResult
from indexer.setting_rules import MAX_STEPS

__all__ = ["OPERATIONS", "HitAnswer", "SearchAnswer", "SearchAsked"]

_MAX_QUERY_CHARS = 20_000
_MAX_OFFSET = 100_000


class SearchAsked(Asked):
    """What to look for, and how."""

    query: Annotated[str, Field(min_length=1, max_length=_MAX_QUERY_CHARS)]
    collection: str | None = Field(None, description="None takes the one of the settings.")
    mode: Mode | None = Field(
        None, description="By meaning (dense), by words (lexical), or both (hybrid)."
    )
    steps: Annotated[int, Field(ge=0, le=MAX_STEPS)] | None = Field(
        None, description="Refinement steps of the query; None takes the collection's own."
    )
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="How many hits.")
    offset: int = Field(0, ge=0, le=_MAX_OFFSET, description="Hits to leave out before them.")
    type: tuple[str, ...] = Field((), description="Only documents of these types, such as pdf.")
    path: str | None = Field(
        None, description="Only documents under this path, or whose path fits this pattern."
    )
    after: str | None = Field(None, description="Only documents changed that day or later.")
    before: str | None = Field(None, description="Only documents changed before that day.")
    document: tuple[str, ...] = Field((), description="Only documents with these ids.")
    fusion: Fusion | None = Field(None, description="How hybrid mode joins its legs.")
    dense_weight: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] | None = Field(
        None, description="Share of the dense leg in weighted fusion."
    )
    candidates: int = Field(100, ge=1, le=10_000, description="Passages of each leg to fuse.")

    def where(self) -> Where | None:
        """Return its conditions on documents.

        Raises:
            InvalidFilterError: one of them cannot be understood.
        """
        conditions = [f"type={value}" for value in self.type]
        conditions += [f"document={value}" for value in self.document]
        for name in ("path", "after", "before"):
            value = getattr(self, name)
            if value is not None:
                conditions.append(f"{name}={value}")
        return Where.parse(conditions) if conditions else None


class LegAnswer(Answer):
    """What one way of searching says of a hit; None where it was not asked or has no rank."""

    score: float | None
    rank: int | None


class HitAnswer(Answer):
    """A passage that was found."""

    rank: int
    score: float
    source: str
    title: str
    media_type: str
    page: int | None
    headings: str
    passage: str
    highlights: list[tuple[int, int]] = Field(
        description="Characters [start, end) of the passage that match words of the query."
    )
    start: int = Field(description="First character of the passage in the document's text.")
    end: int
    dense: LegAnswer
    lexical: LegAnswer
    document_id: str
    chunk_id: str


class SearchAnswer(Answer):
    """The hits, best first, with what it took to find them."""

    query: str
    collection: str
    mode: Mode
    steps: int | None = Field(description="Refinement steps of the query; None without a model.")
    dense_weight: float | None
    top_k: int
    offset: int
    total_chunks: int
    generation: int | None = Field(description="Of the index that was searched.")
    hits: list[HitAnswer]
    timings_ms: dict[str, float]
    steps_ms: list[float]
    fingerprint: dict[str, object]


def _collection(services: Services, asked: SearchAsked) -> str:
    return asked.collection or services.settings.collection


def _model(services: Services, asked: SearchAsked) -> str | None:
    if (asked.mode or services.settings.mode) == "lexical":
        return None
    with services.collections.use(_collection(services, asked)) as opened:
        return opened.config.model


def _search(services: Services, asked: SearchAsked) -> SearchAnswer:
    settings = services.settings
    mode = asked.mode or settings.mode
    steps = settings.steps if asked.steps is None else asked.steps
    request = SearchRequest(
        text=asked.query,
        top_k=asked.top_k or settings.top,
        offset=asked.offset,
        mode=mode,
        steps=None if mode == "lexical" else steps,
        where=asked.where(),
        fusion=asked.fusion or settings.fusion,
        dense_weight=settings.dense_weight if asked.dense_weight is None else asked.dense_weight,
        candidates=asked.candidates,
    )
    collection = _collection(services, asked)
    return _answer(services.search(collection, request), collection)


def _answer(result: SearchResult, collection: str) -> SearchAnswer:
    request = result.request
    return SearchAnswer(
        query=request.text,
        collection=collection,
        mode=request.mode,
        steps=result.steps,
        dense_weight=result.dense_weight,
        top_k=request.top_k,
        offset=request.offset,
        total_chunks=result.total_chunks,
        generation=result.generation,
        hits=[_hit(hit) for hit in result.hits],
        timings_ms=result.timings_ms,
        steps_ms=list(result.steps_ms),
        fingerprint=result.fingerprint,
    )


def _hit(hit: Hit) -> HitAnswer:
    chunk, document = hit.chunk, hit.document
    return HitAnswer(
        rank=hit.rank,
        score=hit.score,
        source=document.source,
        title=document.title,
        media_type=document.media_type,
        page=chunk.page,
        headings=hit.headings,
        passage=chunk.text,
        highlights=list(hit.highlights),
        start=chunk.start,
        end=chunk.end,
        dense=LegAnswer(score=hit.dense_score, rank=hit.dense_rank),
        lexical=LegAnswer(score=hit.lexical_score, rank=hit.lexical_rank),
        document_id=document.id,
        chunk_id=chunk.id,
    )


OPERATIONS = (
    Operation(
        "GET",
        "/api/search",
        "search",
        "Search a collection; the question is part of the address.",
        SearchAsked,
        SearchAnswer,
        _search,
        model=_model,
        problems=(404, 409, 503),
    ),
    Operation(
        "POST",
        "/api/search",
        "searchByBody",
        "Search a collection; the question is JSON.",
        SearchAsked,
        SearchAnswer,
        _search,
        body="json",
        model=_model,
        problems=(404, 409, 503),
    ),
)
