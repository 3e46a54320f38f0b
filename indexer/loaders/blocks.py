"""Turns nested lists and tables into plain lines, the same way for every format that has them.

A list becomes one block with a line per item, indented by depth; a table one block with a line per
row, its cells joined by " | ". Everything else goes straight to the document.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from indexer.loaders.builder import DocumentBuilder

__all__ = ["CELL_SEPARATOR", "BlockWriter"]

CELL_SEPARATOR = " | "


@dataclass(slots=True)
class _Table:
    rows: list[list[list[str]]] = field(default_factory=list)  # of cells of pieces of text


@dataclass(slots=True)
class _List:
    marker: str = ""  # pending: written before the next line of the item
    hang: int = 0  # width of the item's marker, for its further lines


class BlockWriter:
    """Writes blocks into a ``DocumentBuilder``, whatever lists and tables they stand in."""

    def __init__(self, builder: DocumentBuilder) -> None:
        self.builder = builder
        self._nesting: list[_Table | _List] = []
        self._lines: list[str] = []  # of the outermost list being written

    def heading(self, text: str, *, level: int) -> None:
        """Write a heading; inside of a list or table it is a line like any other."""
        if self._nesting:
            self.paragraph(text)
        else:
            self.builder.heading(text, level=level)

    def paragraph(self, text: str) -> None:
        """Write text whose line ends mean something, such as a paragraph or a listing."""
        if not text.strip():
            return
        innermost = self._nesting[-1] if self._nesting else None
        if innermost is None:
            self.builder.block(text)
        elif isinstance(innermost, _Table):
            if innermost.rows and innermost.rows[-1]:
                innermost.rows[-1][-1].append(" ".join(text.split()))
            else:
                self._leave_nesting(text)
        else:
            self._write_item(innermost, text)

    def open_list(self) -> None:
        """Begin a list, perhaps inside of another."""
        self._nesting.append(_List())

    def item(self, marker: str) -> None:
        """Begin an item of the innermost list; ``marker`` is what stands before it."""
        innermost = self._nesting[-1] if self._nesting else None
        if isinstance(innermost, _List):
            innermost.marker, innermost.hang = marker, len(marker)

    def close_list(self) -> None:
        """End the innermost list."""
        self._close(_List)

    def open_table(self) -> None:
        """Begin a table, perhaps inside of a cell of another."""
        self._nesting.append(_Table())

    def row(self) -> None:
        """Begin a row of the innermost table."""
        innermost = self._nesting[-1] if self._nesting else None
        if isinstance(innermost, _Table):
            innermost.rows.append([])

    def cell(self) -> None:
        """Begin a cell of the innermost table's last row."""
        innermost = self._nesting[-1] if self._nesting else None
        if isinstance(innermost, _Table):
            if not innermost.rows:
                innermost.rows.append([])
            innermost.rows[-1].append([])

    def close_table(self) -> None:
        """End the innermost table."""
        self._close(_Table)

    def close(self) -> None:
        """End whatever is still open."""
        while self._nesting:
            self._close(type(self._nesting[-1]))

    def _close(self, kind: type[_Table | _List]) -> None:
        if not self._nesting or not isinstance(self._nesting[-1], kind):
            return  # an end without a beginning, in a damaged document
        closed = self._nesting.pop()
        if isinstance(closed, _Table):
            rows = ([" ".join(pieces) for pieces in cells] for cells in closed.rows if any(cells))
            self.paragraph("\n".join(CELL_SEPARATOR.join(row) for row in rows))
        elif not any(isinstance(outer, _List) for outer in self._nesting):
            lines, self._lines = self._lines, []
            self.paragraph("\n".join(lines))

    def _write_item(self, item: _List, text: str) -> None:
        depth = sum(isinstance(outer, _List) for outer in self._nesting) - 1
        for line in text.splitlines():
            marker = item.marker or " " * item.hang
            item.marker = ""
            self._lines.append(f"{'  ' * depth}{marker}{line}".rstrip())

    def _leave_nesting(self, text: str) -> None:
        """Write text that stands in a table but in none of its cells, such as a caption."""
        table = self._nesting.pop()
        self.paragraph(text)
        self._nesting.append(table)
