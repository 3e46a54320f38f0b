"""Search results in each output format. Knows results and terminals, not how to search."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.padding import Padding
from rich.text import Text

from indexer.cli.excerpt import excerpt
from indexer.cli.freshness import FileState
from indexer.cli.terminal import Terminal, json_text, one_line, printable, write_json

if TYPE_CHECKING:
    from indexer.search import Hit, SearchResult

__all__ = ["HitFormat", "write_hits"]

HitFormat = Literal["table", "json", "jsonl", "csv", "paths"]

_SEPARATOR = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "  # as in ``Chunk.context``
_EXCERPT_CHARS = 360
_READABLE_WIDTH = 110
_INDENT = 4
_HIGHLIGHT = "bold underline"  # not by colour alone
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
_CSV_FIELDS = (
    "rank",
    "score",
    "source",
    "page",
    "title",
    "headings",
    "passage",
    "start",
    "end",
    "document_id",
    "chunk_id",
)


def write_hits(
    terminal: Terminal,
    result: SearchResult,
    *,
    collection: str,
    format: HitFormat,
    states: Sequence[FileState],
    full: bool,
) -> None:
    """Write the hits of a search to stdout.

    Args:
        terminal: where they go.
        result: what was found.
        collection: name of the collection.
        format: how to write them.
        states: for each hit what became of its file since it was indexed.
        full: in a table, show whole passages.
    """
    pairs = list(zip(result.hits, states, strict=True))
    if format == "json":
        write_json(_result_as_dict(result, collection, states))
    elif format == "jsonl":
        for hit, state in pairs:
            sys.stdout.write(json_text(_hit_as_dict(hit, state)) + "\n")
    elif format == "csv":
        writer = csv.DictWriter(sys.stdout, _CSV_FIELDS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for hit, state in pairs:
            row = _hit_as_dict(hit, state)
            writer.writerow({name: _csv_cell(row[name]) for name in _CSV_FIELDS})
    elif format == "paths":
        for source in dict.fromkeys(hit.document.source for hit in result.hits):
            sys.stdout.write((one_line(source) if sys.stdout.isatty() else source) + "\n")
    else:
        for hit, state in pairs:
            _print_hit(terminal, hit, state, full=full)


def _result_as_dict(
    result: SearchResult, collection: str, states: Sequence[FileState]
) -> dict[str, object]:
    request = result.request
    return {
        "query": request.text,
        "collection": collection,
        "mode": request.mode,
        "steps": result.steps,
        "top": request.top_k,
        "offset": request.offset,
        "total_chunks": result.total_chunks,
        "hits": [_hit_as_dict(hit, state) for hit, state in zip(result.hits, states, strict=True)],
        "timings_ms": result.timings_ms,
        "fingerprint": result.fingerprint,
    }


def _hit_as_dict(hit: Hit, state: FileState) -> dict[str, object]:
    chunk, document = hit.chunk, hit.document
    return {
        "rank": hit.rank,
        "score": hit.score,
        "source": document.source,
        "file": state,
        "title": document.title,
        "media_type": document.media_type,
        "page": chunk.page,
        "headings": _headings(hit),
        "passage": chunk.text,
        "highlights": [list(span) for span in hit.highlights],
        "start": chunk.start,
        "end": chunk.end,
        "dense": {"score": hit.dense_score, "rank": hit.dense_rank},
        "lexical": {"score": hit.lexical_score, "rank": hit.lexical_rank},
        "document_id": document.id,
        "chunk_id": chunk.id,
    }


def _headings(hit: Hit) -> str:
    """Return the heading path without the document's title, which is shown beside it."""
    context, title = hit.chunk.context, hit.document.title
    return context.removeprefix(title).removeprefix(_SEPARATOR) if title else context


def _csv_cell(value: object) -> object:
    # A spreadsheet runs a cell that starts like a formula, and passages are strangers' texts.
    if isinstance(value, str) and value.startswith(_FORMULA_START):
        return "'" + value
    return value


def _print_hit(terminal: Terminal, hit: Hit, state: FileState, *, full: bool) -> None:
    chunk, document = hit.chunk, hit.document
    width = min(terminal.out.width, _READABLE_WIDTH)
    head = Text.assemble(
        (f"{hit.rank:>2}  ", "bold"), (one_line(document.title), "bold"), overflow="fold"
    )
    facts = [f"page {chunk.page}" if chunk.page is not None else "", f"score {hit.score:.3f}"]
    if full:
        facts += [
            f"dense {hit.dense_score:.3f} (#{hit.dense_rank or '-'})"
            if hit.dense_score is not None
            else "",
            f"lexical {hit.lexical_score:.2f} (#{hit.lexical_rank or '-'})"
            if hit.lexical_score is not None
            else "",
        ]
    head.append("  " + " · ".join(fact for fact in facts if fact), style="dim")
    terminal.out.print(head, width=width)
    if headings := _headings(hit):
        terminal.out.print(
            Padding(Text(one_line(headings), "italic"), (0, 0, 0, _INDENT)), width=width
        )
    where = Text(" " * _INDENT)
    where.append(one_line(document.source), style=_link(document.source))
    if state != "current":
        where.append(f"  ({'file is gone' if state == 'missing' else 'changed since'})", "yellow")
    terminal.out.print(where, soft_wrap=True)  # unbroken, so that it can be copied
    terminal.out.print(Padding(_passage(hit, full=full), (0, 0, 1, _INDENT)), width=width)


def _link(source: str) -> str:
    """Return the style of a path: a link where it is a file and the terminal knows links."""
    path = Path(source)
    # as_uri() quotes what could end the escape sequence of the link
    return f"cyan link {path.as_uri()}" if path.is_absolute() else "cyan"


def _passage(hit: Hit, *, full: bool) -> Text:
    if full:
        text, spans = hit.chunk.text, list(hit.highlights)
    else:
        text, spans = excerpt(hit.chunk.text, hit.highlights, limit=_EXCERPT_CHARS)
    passage = Text(printable(text), overflow="fold")  # same length, so the spans still fit
    for start, end in spans:
        passage.stylize(_HIGHLIGHT, start, end)
    return passage
