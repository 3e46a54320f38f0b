"""Searching: the same questions and answers as on the page and the command line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.operations import Answer, AskedOfCollection, Operation
from app.services import Services
from indexer.searching.filters import Where
from indexer.searching.refining import Progress, Stop
from indexer.searching.search import Fusion, Grouping, Hit, Mode, SearchRequest, SearchResult
from indexer.setting_rules import MAX_STEPS

__all__ = ["OPERATIONS", "HitAnswer", "SearchAnswer", "SearchAsked"]

_MAX_QUERY_CHARS = 20_000
_MAX_OFFSET = 100_000
_MAX_BUDGET_MS = 60_000


class SearchAsked(AskedOfCollection):
    """What to look for, and how."""

    query: str = Field(
        "",
        max_length=_MAX_QUERY_CHARS,
        description='A "phrase in quotes" has to occur, a word after a minus must not. May be left '
        "out where `like` names passages.",
    )
    mode: Mode | None = Field(
        None, description="By meaning (dense), by words (lexical), or both (hybrid)."
    )
    steps: Annotated[int, Field(ge=0, le=MAX_STEPS)] | None = Field(
        None,
        description="Refinement steps of the query; None takes those of the settings, or else the "
        "collection's own. With `budget_ms` or `auto` the most that are taken.",
    )
    budget_ms: Annotated[float, Field(gt=0, le=_MAX_BUDGET_MS)] | None = Field(
        None,
        description="Answer within so many milliseconds, once the model is loaded, with as many "
        "steps as that allows.",
    )
    auto: bool = Field(
        False,
        description="Stop refining when the first hits keep their places, or the query hardly "
        "moves any more.",
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
    like: tuple[str, ...] = Field(
        (), description="Find more like these passages, by `chunk_id`; with a query or without."
    )
    unlike: tuple[str, ...] = Field((), description="Find less like these passages.")
    group: Grouping = Field(
        "passage",
        description="`document` returns the best passages of each document together; `top_k` and "
        "`offset` then count documents.",
    )
    plain: bool = Field(False, description="Take quotes and minus signs of the query as they are.")
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
    first_rank: int | None = Field(
        description="Rank at the first step of a search by `budget_ms` or `auto`."
    )
    document_id: str
    chunk_id: str


class ProgressAnswer(Answer):
    """How far a query was refined, and how sure the first hits are."""

    first_step: int
    step: int
    unchanged_since: int = Field(
        description="The first of the steps up to the last at which the first `top` hits were the "
        "same; `step` itself where it changed them."
    )
    top: int
    stopped: Stop | None = Field(description="Why it went no further.")


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
    progress: ProgressAnswer | None = Field(
        description="Of a search by `budget_ms` or `auto`; None for others."
    )
    timings_ms: dict[str, float]
    steps_ms: list[float]
    fingerprint: dict[str, object]


def _model(services: Services, asked: SearchAsked) -> str | None:
    if not asked.query.strip() or (asked.mode or services.settings.mode) == "lexical":
        return None
    with services.collections.use(asked.collection_name(services)) as opened:
        return opened.config.model


def _search(services: Services, asked: SearchAsked) -> SearchAnswer:
    settings = services.settings
    mode: Mode = asked.mode or (settings.mode if asked.query.strip() else "dense")
    steps = asked.steps
    if steps is None and not asked.auto and asked.budget_ms is None:
        steps = settings.steps
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
        budget_ms=asked.budget_ms,
        until_stable=asked.auto,
        like=asked.like,
        unlike=asked.unlike,
        grouping=asked.group,
        is_plain=asked.plain,
    )
    collection = asked.collection_name(services)
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
        progress=_progress(result.progress),
        timings_ms=result.timings_ms,
        steps_ms=list(result.steps_ms),
        fingerprint=result.fingerprint,
    )


def _progress(progress: Progress | None) -> ProgressAnswer | None:
    if progress is None:
        return None
    return ProgressAnswer(
        first_step=progress.first_step,
        step=progress.step,
        unchanged_since=progress.unchanged_since,
        top=progress.top,
        stopped=progress.stopped,
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
        first_rank=hit.first_rank,
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
