"""Search results in each output format. Knows results and terminals, not how to search."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from indexer.cli.freshness import FileState
from indexer.cli.hit_view import print_hit
from indexer.cli.terminal import Terminal, json_text, one_line, write_json
from indexer.searching.hit_rows import hit_values, progress_values, write_csv

if TYPE_CHECKING:
    from indexer.searching.search import Hit, SearchResult

__all__ = ["HitFormat", "write_hits"]

HitFormat = Literal["table", "json", "jsonl", "csv", "paths"]


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
        write_csv(sys.stdout, [hit_values(hit) for hit in result.hits])
    elif format == "paths":
        for source in dict.fromkeys(hit.document.source for hit in result.hits):
            sys.stdout.write((one_line(source) if sys.stdout.isatty() else source) + "\n")
    else:
        for hit, state in pairs:
            print_hit(terminal, hit, state, full=full)


def _result_as_dict(
    result: SearchResult, collection: str, states: Sequence[FileState]
) -> dict[str, object]:
    request = result.request
    return {
        "query": request.text,
        "collection": collection,
        "mode": request.mode,
        "steps": result.steps,
        "dense_weight": result.dense_weight,
        "top": request.top_k,
        "offset": request.offset,
        "total_chunks": result.total_chunks,
        "hits": [_hit_as_dict(hit, state) for hit, state in zip(result.hits, states, strict=True)],
        "progress": progress_values(result.progress),
        "timings_ms": result.timings_ms,
        "steps_ms": list(result.steps_ms),
        "fingerprint": result.fingerprint,
    }


def _hit_as_dict(hit: Hit, state: FileState) -> dict[str, object]:
    return {**hit_values(hit), "file": state}
