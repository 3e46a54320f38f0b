"""A hit as HTML: where it is from, the passage with what matched, and how it was scored."""

from __future__ import annotations

from pathlib import Path, PurePath

from app.rendering import paragraphs, plain
from app.uploads import UploadFolder
from indexer.loaders import MEDIA_TYPES
from indexer.search import Hit, SearchResult
from indexer.wording import milliseconds_text, steps_text

__all__ = ["document_place", "hit_html", "latency_text", "type_label"]


def type_label(media_type: str) -> str:
    """Return a media type's name for people."""
    known = MEDIA_TYPES.get(media_type)
    return known.label if known else media_type


def document_place(source: str, uploads: UploadFolder) -> str:
    """Return where a document came from: its folder, short for people, or that it was uploaded."""
    folder = PurePath(source).parent
    if folder.is_relative_to(uploads.root):
        return "uploaded"
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def hit_html(hit: Hit, uploads: UploadFolder) -> str:
    """Return everything about a hit but its buttons."""
    document, chunk = hit.document, hit.chunk
    name = PurePath(document.source).name
    facts = [type_label(document.media_type)]
    if chunk.page is not None:
        facts.insert(0, f"page {chunk.page}")
    if hit.headings:
        facts.append(hit.headings)
    if name != document.title:
        facts.append(name)
    facts.append(document_place(document.source, uploads))
    places = "".join(f"<li>{plain(fact)}</li>" for fact in facts)
    return (
        '<article class="gs-hit">'
        f'<h3><span class="gs-rank">{hit.rank}</span>{plain(document.title)}</h3>'
        f'<ul class="gs-facts">{places}</ul>'
        f'<div class="gs-passage">{paragraphs(chunk.text, hit.highlights)}</div>'
        f'<ul class="gs-scores">{_scores(hit)}</ul>'
        "</article>"
    )


def _scores(hit: Hit) -> str:
    legs: list[tuple[str, float | None, int | None, int]] = [
        ("score", hit.score, None, 3),
        ("meaning", hit.dense_score, hit.dense_rank, 3),
        ("words", hit.lexical_score, hit.lexical_rank, 1),
    ]
    items = []
    for name, score, rank, digits in legs:
        if score is None:
            continue
        place = f" (rank {rank})" if rank is not None else ""
        items.append(f"<li>{name} {score:.{digits}f}{place}</li>")
    return "".join(items)


def latency_text(result: SearchResult) -> str:
    """Return how long each part of a search took, in one line."""
    timings = result.timings_ms
    parts = []
    if result.steps is not None:
        parts.append(f"embedding {milliseconds_text(timings['embed'])}, {_steps(result)}")
    names = (("dense", "meaning"), ("lexical", "words"), ("fuse", "fusion"), ("fetch", "texts"))
    for key, name in names:
        if key in timings:
            parts.append(f"{name} {milliseconds_text(timings[key])}")
    return f"{milliseconds_text(timings['total'])} in all: " + " · ".join(parts)


def _steps(result: SearchResult) -> str:
    first, *later = result.steps_ms
    steps = steps_text(result.steps or 0)
    if not later:
        return steps
    each = milliseconds_text(sum(later) / len(later))
    return f"{steps} ({milliseconds_text(first)} to begin, then {each} each)"
