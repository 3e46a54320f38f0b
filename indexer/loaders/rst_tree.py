"""Writes the trees that docutils makes of reStructuredText: sections, paragraphs, lists, tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from docutils import nodes

from indexer.loaders.blocks import BlockWriter

__all__ = ["write_tree"]

_NOTHING = "\x00"  # removed together with the space before it; cannot occur in decoded text
_SPACE_BEFORE_NOTHING = re.compile(r"\s*\x00")
_DROPPED = (
    nodes.comment,
    nodes.system_message,
    nodes.substitution_definition,
    nodes.pending,
    nodes.raw,
    nodes.meta,
    nodes.target,
    nodes.label,
)


def write_tree(
    writer: BlockWriter, document: nodes.document, *, keep_fields: bool
) -> dict[str, str]:
    """Write all that a reader of the document would see.

    Args:
        writer: where to write.
        document: a parsed tree, no transforms applied.
        keep_fields: whether to collect the document's fields.

    Returns:
        The fields that stand above all sections, empty without ``keep_fields``.
    """
    walk = _Walk(writer, document.substitution_defs)
    walk.children(document, 0)
    writer.close()
    return walk.fields if keep_fields else {}


class _Walk:
    """One pass over a tree; levels are those of the sections."""

    def __init__(
        self, writer: BlockWriter, substitutions: Mapping[str, nodes.substitution_definition]
    ) -> None:
        self.writer = writer
        self.fields: dict[str, str] = {}
        self._substitutions = substitutions

    def children(self, node: nodes.Element, level: int) -> None:
        for child in node.children:
            if isinstance(child, nodes.system_message):
                self._rescue(child)
            elif isinstance(child, nodes.Element) and not isinstance(child, _DROPPED):
                self._block(child, level)

    def _rescue(self, message: nodes.system_message) -> None:
        """Write the source of what docutils could not parse, which only its complaint still has."""
        for source in message.findall(nodes.literal_block):
            self.writer.paragraph(source.astext())

    def _block(self, node: nodes.Element, level: int) -> None:
        match node:
            case nodes.section():
                self.children(node, level + 1)
            case nodes.title() if isinstance(node.parent, nodes.section):
                self.writer.heading(self._text(node), level=level)
            case nodes.literal_block() | nodes.doctest_block() | nodes.math_block():
                self.writer.paragraph(node.astext().strip("\n"))
            case nodes.line_block():
                self.writer.paragraph("\n".join(self._lines(node)))
            case nodes.image():
                self.writer.paragraph(str(node.get("alt", "")))
            case nodes.Sequential() | nodes.field_list() | nodes.table():
                self._structure(node, level)
            case nodes.footnote() | nodes.citation():
                label = node.next_node(nodes.label)
                self._item(f"[{label.astext()}] " if label is not None else "- ", node, level)
            case nodes.TextElement():
                self.writer.paragraph(self._text(node))
            case _:
                if isinstance(node, nodes.Admonition) and node.tagname != "admonition":
                    self.writer.paragraph(f"{node.tagname.capitalize()}:")
                self.children(node, level)

    def _structure(self, node: nodes.Element, level: int) -> None:
        match node:
            case nodes.bullet_list():
                self._list(node, level, lambda number: "- ")
            case nodes.enumerated_list():
                first = int(node.get("start", 1))
                self._list(node, level, lambda number: f"{first + number}. ")
            case nodes.table():
                self._table(node, level)
            case nodes.field_list():
                self._field_list(node)
            case _:
                self._list(node, level, lambda number: "")

    def _list(self, node: nodes.Element, level: int, marker: Callable[[int], str]) -> None:
        self.writer.open_list()
        for number, item in enumerate(node.children):
            if isinstance(item, nodes.Element) and not isinstance(item, _DROPPED):
                self.writer.item(marker(number))
                self.children(item, level)
        self.writer.close_list()

    def _item(self, marker: str, node: nodes.Element, level: int) -> None:
        self.writer.open_list()
        self.writer.item(marker)
        self.children(node, level)
        self.writer.close_list()

    def _table(self, table: nodes.Element, level: int) -> None:
        for title in table.children:
            if isinstance(title, nodes.title):
                self.writer.paragraph(self._text(title))
        self.writer.open_table()
        for row in table.findall(nodes.row):
            self.writer.row()
            for entry in row.children:
                self.writer.cell()
                if isinstance(entry, nodes.Element):
                    self.children(entry, level)
        self.writer.close_table()

    def _field_list(self, fields: nodes.Element) -> None:
        at_top = isinstance(fields.parent, nodes.document) and not self.fields
        for field in fields.children:
            if isinstance(field, nodes.field):
                name, body = (self._text(child) for child in field.children[:2])
                if at_top:
                    self.fields[name] = body
                self.writer.paragraph(f"{name}: {body}")

    def _lines(self, block: nodes.Element, indent: str = "") -> list[str]:
        lines: list[str] = []
        for child in block.children:
            if isinstance(child, nodes.line_block):
                lines += self._lines(child, indent + "  ")
            else:
                lines.append(indent + self._text(child))
        return lines

    def _text(self, node: nodes.Node) -> str:
        """Return inline text on one line: line ends in the source are only wrapping."""
        text = self._inline(node)
        if _NOTHING in text:
            text = _SPACE_BEFORE_NOTHING.sub("", text)
        return " ".join(text.split())

    def _inline(self, node: nodes.Node) -> str:
        match node:
            case nodes.Text():
                return node.astext()
            case nodes.footnote_reference() | nodes.citation_reference():
                # a footnote numbered by the reader has no number yet
                return f"[{node.astext()}]" if node.astext() else _NOTHING
            case nodes.substitution_reference():
                definition = self._substitutions.get(node.astext())
                return node.astext() if definition is None else definition.astext()
            case nodes.image():
                return str(node.get("alt", ""))
        if isinstance(node, _DROPPED):
            return ""
        # a body's blocks are apart, the pieces of a line are not
        separator = " " if isinstance(node, nodes.field_body) else ""
        return separator.join(self._inline(child) for child in node.children)
