"""Reads JSON and JSON Lines as "key.path: value" lines, a paragraph for each record.

Notebooks, which are JSON too, are read as what is in their cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from indexer.documents import Document
from indexer.errors import ExtractionError
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode
from indexer.loaders.notebook import find_cells, write_cells

__all__ = ["load"]

_MAX_DIGITS = 640  # the least that sys.set_int_max_str_digits() may be set to
_TITLE_KEYS = ("title", "name", "headline")


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a JSON document, or one for each line.

    Raises:
        ExtractionError: ``binary``, or ``invalid`` with line and column.
    """
    text = decode(data)
    if name.lower().endswith((".jsonl", ".ndjson")):
        return _load_lines(text, source=source, name=name)
    builder = DocumentBuilder(source=source, name=name, media_type="json")
    value = _parse(text, first_line=1) if text.strip() else None
    cells = find_cells(value)
    if cells is not None:
        write_cells(builder, cells)
        return builder.build()
    records = value if isinstance(value, list) else [value]
    for record in records:
        builder.block(_describe(record))
    return builder.build(title=_find_title(value))


def _load_lines(text: str, *, source: str, name: str) -> Document:
    builder = DocumentBuilder(source=source, name=name, media_type="jsonl")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            builder.block(_describe(_parse(line, first_line=number)))
    return builder.build()


def _parse(text: str, *, first_line: int) -> object:
    try:
        return json.loads(text, parse_int=_number)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise ExtractionError(
            "invalid",
            f"it is not valid JSON at line {line:,}, column {error.colno:,}: {error.msg}",
            hint="correct the file there, or rename it to .txt to read it as plain text",
        ) from error
    except RecursionError:
        raise ExtractionError(
            "invalid",
            "its values are nested too deeply to be read",
            hint="rename it to .txt to read it as plain text",
        ) from None


def _number(digits: str) -> int | str:
    """Return a whole number; as it is written where it is longer than Python takes."""
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _describe(record: object) -> str:
    return "\n".join(line for line in _flatten(record) if line)


def _flatten(value: object) -> Iterator[str]:
    """Yield a line for each value; iterative, because nesting depth is the document's choice."""
    pending: list[tuple[str, object]] = [("", value)]
    while pending:
        path, current = pending.pop()
        match current:
            case dict():
                children = [(f"{path}.{key}" if path else key, v) for key, v in current.items()]
                pending.extend(reversed(children))
            case list() if all(isinstance(item, str | int | float | None) for item in current):
                yield _line(path, ", ".join(_spell(item) for item in current))
            case list():
                children = [(f"{path}[{i}]", item) for i, item in enumerate(current)]
                pending.extend(reversed(children))
            case _:
                yield _line(path, _spell(current))


def _line(path: str, text: str) -> str:
    # a long text may hold blank lines, which would end the record's paragraph
    text = "\n".join(line for line in text.splitlines() if line.strip())
    return (f"{path}: {text}" if path else text) if text else ""


def _spell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
    return str(value)


def _find_title(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((v for key in _TITLE_KEYS if isinstance(v := value.get(key), str)), None)
