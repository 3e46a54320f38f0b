"""Hits as plain values and as tables, the same from the command line, the API and the app."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from indexer.searching.refining import Progress
    from indexer.searching.results import Hit

__all__ = ["hit_values", "progress_values", "write_csv"]

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


def hit_values(hit: Hit) -> dict[str, object]:
    """Return everything about a hit as values that JSON takes."""
    chunk, document = hit.chunk, hit.document
    return {
        "rank": hit.rank,
        "score": hit.score,
        "source": document.source,
        "title": document.title,
        "media_type": document.media_type,
        "page": chunk.page,
        "headings": hit.headings,
        "passage": chunk.text,
        "highlights": [list(span) for span in hit.highlights],
        "start": chunk.start,
        "end": chunk.end,
        "dense": {"score": hit.dense_score, "rank": hit.dense_rank},
        "lexical": {"score": hit.lexical_score, "rank": hit.lexical_rank},
        "first_rank": hit.first_rank,
        "document_id": document.id,
        "chunk_id": chunk.id,
    }


def progress_values(progress: Progress | None) -> dict[str, object] | None:
    """Return how far a query was refined as values that JSON takes."""
    return None if progress is None else asdict(progress)


def write_csv(file: TextIO, rows: Iterable[Mapping[str, object]]) -> None:
    """Write hits as a table, one line each after a line of names.

    Args:
        file: where to.
        rows: as ``hit_values`` returns them.
    """
    writer = csv.DictWriter(file, _CSV_FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _csv_cell(row[name]) for name in _CSV_FIELDS})


def _csv_cell(value: object) -> object:
    # A spreadsheet runs a cell that starts like a formula, and passages are strangers' texts.
    if isinstance(value, str) and value.startswith(_FORMULA_START):
        return "'" + value
    return value
