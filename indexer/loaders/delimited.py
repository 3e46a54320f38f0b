"""Reads CSV, TSV and their relatives: a line for each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from indexer.documents import Document
from indexer.errors import ExtractionError
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode
from indexer.loaders.records import write_rows

__all__ = ["load", "table_rows"]

_DELIMITERS = ",;\t|"
_SUFFIX_DELIMITERS = {".tsv": "\t", ".tab": "\t", ".psv": "|"}
_SAMPLE_CHARS = 16_384
_MAX_CELL_CHARS = 16 * 1024 * 1024


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a table in text form; the delimiter is found out.

    Raises:
        ExtractionError: ``binary``, or ``invalid`` when the quoting does not add up.
    """
    builder = DocumentBuilder(source=source, name=name, media_type="csv")
    write_rows(builder, table_rows(data, name=name))
    return builder.build()


def table_rows(data: bytes, *, name: str) -> Iterator[Sequence[str]]:
    """Yield the rows of a table in text form, empty ones included.

    Raises:
        ExtractionError: ``binary``, or ``invalid`` when the quoting does not add up.
    """
    text = decode(data)
    # the bound is the module's, for everybody
    previous = csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        yield from _rows(text, _find_dialect(text[:_SAMPLE_CHARS], name))
    finally:
        csv.field_size_limit(previous)


def _rows(text: str, dialect: type[csv.Dialect]) -> Iterator[Sequence[str]]:
    reader = csv.reader(io.StringIO(text), dialect)
    try:
        yield from reader
    except csv.Error as error:
        raise ExtractionError(
            "invalid",
            f"line {reader.line_num:,} of the table cannot be read: {error}",
            hint="correct the quotation marks there",
        ) from error


def _find_dialect(sample: str, name: str) -> type[csv.Dialect]:
    class Dialect(csv.excel):
        delimiter = _find_delimiter(sample, name)

    return Dialect


def _find_delimiter(sample: str, name: str) -> str:
    """Take the delimiter that gives most rows of the sample the same number of cells.

    ``csv.Sniffer`` is not used: it takes letters for delimiters and its patterns can run for hours.
    """
    default = _SUFFIX_DELIMITERS.get(PurePath(name).suffix.lower(), ",")
    best, best_score = default, 0.0
    for delimiter in sorted(_DELIMITERS, key=lambda candidate: candidate != default):
        widths = [len(row) for row in csv.reader(sample.splitlines()[:100], delimiter=delimiter)]
        widths = [width for width in widths if width]
        common = max(set(widths), key=widths.count, default=0)
        score = widths.count(common) / len(widths) if common > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best
