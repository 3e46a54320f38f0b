"""Shows rows of CSV files and spreadsheets around a passage. In the child process.

The lines that stand for rows in the extracted text are made once more, by the same code, and the
passage is looked for among them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from indexer.extraction.protocol import Message
from indexer.loaders.delimited import table_rows
from indexer.loaders.encoding import clean
from indexer.loaders.records import row_text, split_header
from indexer.loaders.spreadsheet import sheets
from indexer.preview.alignment import align
from indexer.preview.values import PreviewRequest

__all__ = ["show_table"]

_MAX_COLUMNS = 40
_MAX_CELL_CHARS = 500


@dataclass(slots=True)
class _Sheet:
    name: str
    header: Sequence[str] = ()
    rows: list[tuple[int, Sequence[str]]] = field(default_factory=list)


def show_table(data: bytes, request: PreviewRequest) -> Message:
    """Return the rows around the passage, as ``protocol`` takes them.

    Raises:
        ExtractionError: the table cannot be read.
    """
    if request.media_type == "csv":
        tables = [_sheet("", table_rows(data, name=request.path.name))]
    else:
        tables = [_sheet(name, rows) for name, rows in sheets(data) if rows is not None]
    sheet, found = _find(tables, request)
    first = max(0, (found[0] if found else 0) - request.before)
    last = min(len(sheet.rows), (found[1] if found else 0) + request.after)
    shown = sheet.rows[first:last]
    width = max((len(cells) for cells in [sheet.header, *(cells for _, cells in shown)]), default=0)
    return {
        "name": sheet.name,
        "header": _cells(sheet.header),
        "rows": [
            [number, _cells(cells), found is not None and found[0] <= place < found[1]]
            for place, (number, cells) in enumerate(shown, start=first)
        ],
        "is_start": first == 0,
        "is_end": last == len(sheet.rows),
        "hidden_columns": max(0, width - _MAX_COLUMNS),
    }


def _sheet(name: str, rows: Iterable[Sequence[str]]) -> _Sheet:
    numbers: list[int] = []

    def counted() -> Iterator[Sequence[str]]:
        for number, row in enumerate(rows, start=1):
            if any(cell.strip() for cell in row):
                numbers.append(number)
            yield row

    header, filled = split_header(counted())
    kept = list(filled)
    return _Sheet(name, header, list(zip(numbers[len(numbers) - len(kept) :], kept, strict=True)))


def _find(
    tables: Sequence[_Sheet], request: PreviewRequest
) -> tuple[_Sheet, tuple[int, int] | None]:
    """Return the sheet with the passage, and which of its rows the passage is made of."""
    start = tables[0] if tables else _Sheet("")
    if not request.passage:
        return start, None
    lines: list[str] = []
    owners: list[tuple[_Sheet, int]] = []
    for sheet in tables:
        for place, (_, cells) in enumerate(sheet.rows):
            lines.append(clean(row_text(sheet.header, cells)))
            owners.append((sheet, place))
    found = align(request.passage, "\n".join(lines), place=request.place)
    if found is None:
        return start, None
    starts: list[int] = []
    length = 0
    for line in lines:
        starts.append(length)
        length += len(line) + 1
    first, last = (bisect_right(starts, at) - 1 for at in (found.span[0], found.span[1] - 1))
    # a passage may begin in one sheet and end in the next: the one with more of it is shown
    parts: dict[int, list[int]] = {}
    for sheet, place in owners[first : last + 1]:
        parts.setdefault(id(sheet), []).append(place)
    best = max(parts, key=lambda key: len(parts[key]))
    sheet = next(one for one in tables if id(one) == best)
    return sheet, (parts[best][0], parts[best][-1] + 1)


def _cells(cells: Sequence[str]) -> list[str]:
    texts = (clean(cell) for cell in cells[:_MAX_COLUMNS])
    return [
        text if len(text) <= _MAX_CELL_CHARS else text[:_MAX_CELL_CHARS] + "…" for text in texts
    ]
