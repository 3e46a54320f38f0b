"""Writes the cells of Jupyter notebooks: Markdown as text, code as it is, outputs as far as text.

Knows the notebook format, versions 3 and 4; the JSON loader has parsed it already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.markdown import write_markdown

__all__ = ["find_cells", "write_cells"]


def find_cells(value: object) -> list[Any] | None:
    """Return the cells of a notebook; None when the value is something else."""
    if not isinstance(value, dict) or "nbformat" not in value:
        return None
    sheets = value.get("worksheets")
    holder = sheets[0] if isinstance(sheets, list) and sheets else value
    cells = holder.get("cells") if isinstance(holder, dict) else None
    return cells if isinstance(cells, list) else None


def write_cells(builder: DocumentBuilder, cells: list[Any]) -> None:
    """Write cells in order; images and other data in the outputs are left out."""
    writer = BlockWriter(builder)
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        source = _join(cell.get("source", cell.get("input")))
        if cell.get("cell_type") in {"markdown", "heading"}:
            write_markdown(writer, source)
        else:
            builder.block(source)
            for text in _output_texts(cell.get("outputs")):
                builder.block(text)


def _output_texts(outputs: object) -> Iterator[str]:
    for output in outputs if isinstance(outputs, list) else []:
        if isinstance(output, dict):
            data = output.get("data")
            yield _join(output.get("text") or (data or {}).get("text/plain"))


def _join(text: object) -> str:
    """Return a text that may be stored as the list of its lines."""
    if isinstance(text, list):
        return "".join(line for line in text if isinstance(line, str))
    return text if isinstance(text, str) else ""
