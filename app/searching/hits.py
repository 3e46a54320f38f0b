"""A hit as HTML: where it is from, the passage with what matched, and how it was scored."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from app.rendering import highlighted, plain
from app.work.uploads import UploadFolder
from indexer.loaders import MEDIA_TYPES
from indexer.searching.excerpt import excerpt
from indexer.searching.hit_rows import hit_values, write_csv
from indexer.searching.refining import Progress
from indexer.searching.search import Hit

__all__ = [
    "HitLook",
    "document_place",
    "hit_html",
    "hits_as_csv",
    "hits_as_json",
    "move_text",
    "type_label",
]

_EXCERPT_CHARS = 420


@dataclass(frozen=True, slots=True)
class HitLook:
    """How a hit stands among the others.

    Args:
        is_open: it is what the reader shows.
        is_further: it is another passage of the document above it.
        progress: how far its query was refined; None where nobody watched that.
    """

    is_open: bool = False
    is_further: bool = False
    progress: Progress | None = None


def type_label(media_type: str) -> str:
    """Return a media type's name for people."""
    known = MEDIA_TYPES.get(media_type)
    return known.label if known else media_type


def document_place(source: str, uploads: UploadFolder) -> str:
    """Return where a document came from: its folder, short for people, or that it was uploaded."""
    folder = PurePath(source).parent
    if folder.is_relative_to(uploads.root):
        # What comes first is the collection's folder and the content's.
        inner = folder.relative_to(uploads.root).parts[2:]
        return f"uploaded, in {PurePath(*inner)}" if inner else "uploaded"
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def hit_html(hit: Hit, uploads: UploadFolder, look: HitLook | None = None) -> str:
    """Return everything about a hit but its buttons; of the passage what shows why it matched."""
    look = look or HitLook()
    text, spans = excerpt(hit.chunk.text, hit.highlights, limit=_EXCERPT_CHARS)
    classes = ["gs-hit", *(["gs-open"] if look.is_open else [])]
    classes += ["gs-further"] if look.is_further else []
    current = ' aria-current="true"' if look.is_open else ""
    facts = "".join(f"<li>{plain(fact)}</li>" for fact in _facts(hit, uploads, look))
    return (
        f'<article class="{" ".join(classes)}"{current}>{_head(hit, look)}'
        f'<ul class="gs-facts">{facts}</ul>'
        f'<p class="gs-passage">{highlighted(text, spans)}</p>'
        f'<ul class="gs-scores">{_scores(hit)}</ul>'
        "</article>"
    )


def move_text(hit: Hit, progress: Progress | None) -> str:
    """Return how a hit moved while its query was refined; empty before anything could move."""
    if progress is None or progress.step == progress.first_step:
        return ""
    if hit.first_rank is None:
        return f"new since step {progress.first_step}"
    places = hit.first_rank - hit.rank
    if not places:
        return f"in place since step {progress.first_step}"
    return f"{'up' if places > 0 else 'down'} {abs(places)} since step {progress.first_step}"


def hits_as_csv(hits: Sequence[Hit]) -> str:
    """Return hits as a table for spreadsheets, which never takes a passage for a formula."""
    file = io.StringIO()
    write_csv(file, [hit_values(hit) for hit in hits])
    return file.getvalue()


def hits_as_json(hits: Sequence[Hit]) -> str:
    """Return hits as a JSON list; half characters of damaged files are escaped."""
    return json.dumps([hit_values(hit) for hit in hits], indent=1)


def _head(hit: Hit, look: HitLook) -> str:
    rank = f'<span class="gs-rank">{hit.rank}</span>'
    arrow = _arrow(hit, look.progress)
    if look.is_further:
        return f'<p class="gs-line">{rank}{arrow}<span class="gs-sr">, same document</span></p>'
    return f"<h3>{rank}{plain(hit.document.title)}{arrow}</h3>"


def _arrow(hit: Hit, progress: Progress | None) -> str:
    said = move_text(hit, progress)
    if not said:
        return ""
    way, places, *_ = said.split()
    if way == "in":
        return f'<span class="gs-sr">, {plain(said)}</span>'
    sign = {"up": f"\u25b2{places}", "down": f"\u25bc{places}"}.get(way, "new")
    return (
        f'<span class="gs-move gs-{way}" title="{plain(said)}">'
        f'<span aria-hidden="true">{sign}</span><span class="gs-sr">, {plain(said)}</span></span>'
    )


def _facts(hit: Hit, uploads: UploadFolder, look: HitLook) -> list[str]:
    document, chunk = hit.document, hit.chunk
    page = [f"page {chunk.page}"] if chunk.page is not None else []
    headings = [hit.headings] if hit.headings else []
    if look.is_further:
        return [*page, *headings]
    name = PurePath(document.source).name
    names = [name] if name != document.title else []
    place = document_place(document.source, uploads)
    return [*page, type_label(document.media_type), *headings, *names, place]


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
