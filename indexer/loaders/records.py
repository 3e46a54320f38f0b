"""Turns the rows of tables into readable lines, the same way for spreadsheets and CSV."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence

from indexer.loaders.blocks import CELL_SEPARATOR
from indexer.loaders.builder import DocumentBuilder

__all__ = ["cell_text", "row_text", "split_header", "write_rows"]

_SAMPLE_ROWS = 20


def write_rows(builder: DocumentBuilder, rows: Iterable[Sequence[str]]) -> None:
    """Write a line for each row: "Header: value; Header: value" below a header row.

    Args:
        builder: where to write.
        rows: the cells of each row as text; empty rows are skipped.
    """
    header, filled = split_header(rows)
    for row in filled:
        builder.line(row_text(header, row))


def split_header(rows: Iterable[Sequence[str]]) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the names of the columns, none if there are none, and the rows that are not empty."""
    filled = (row for row in rows if any(cell.strip() for cell in row))
    first = next(filled, None)
    if first is None:
        return (), iter(())
    sample = list(itertools.islice(filled, _SAMPLE_ROWS))
    if _is_header(first, sample):
        return [" ".join(cell.split()) for cell in first], itertools.chain(sample, filled)
    return (), itertools.chain([first], sample, filled)


def row_text(header: Sequence[str], row: Sequence[str]) -> str:
    """Return the line that stands for a row: "Header: value; Header: value" below a header."""
    return "; ".join(_pairs(header, row)) if header else _plain(row)


def cell_text(value: object) -> str:
    """Put a spreadsheet's value into words: whole numbers without a fraction, dates as ISO."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(" ")
    return str(value)


def _is_header(row: Sequence[str], sample: list[Sequence[str]]) -> bool:
    names = [cell.strip() for cell in row if cell.strip()]
    if not sample or len(names) < 2 or len(set(names)) < len(names):
        return False
    if not all(any(char.isalpha() for char in name) and len(name) <= 100 for name in names):
        return False
    # two columns are as often a form, with a name and a value in each row
    return len(names) > 2 or any(_differs(row, other) for other in sample)


def _differs(header: Sequence[str], row: Sequence[str]) -> bool:
    """Say whether a row holds numbers or long texts where the header has words."""
    return any(
        not any(char.isalpha() for char in cell) or len(cell) > 4 * len(name) + 20
        for name, cell in zip(header, row, strict=False)
        if cell.strip()
    )


def _pairs(header: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    for column, cell in enumerate(row):
        text = " ".join(cell.split())
        if text:
            name = header[column] if column < len(header) else ""
            yield f"{name}: {text}" if name else text


def _plain(row: Sequence[str]) -> str:
    texts = (" ".join(cell.split()) for cell in row)
    return CELL_SEPARATOR.join(text for text in texts if text)
