"""Reads Word documents with python-docx: paragraphs and tables in order, headings by style."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import docx
from docx.document import Document as WordDocument
from docx.oxml.ns import qn
from lxml import etree

from indexer.documents import Document
from indexer.loaders.archive import open_archive
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.faults import damaged
from indexer.loaders.office import core_properties

__all__ = ["load"]

_HEADING = re.compile(r"heading ([1-9])", re.I)
_TEXT = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_RUN_TEXT, _BOX, _VALUE = qn("w:t"), qn("w:txbxContent"), qn("w:val")
_STYLE = f"{qn('w:pPr')}/{qn('w:pStyle')}"
_NUMBERING = f"{qn('w:pPr')}/{qn('w:numPr')}"
_WRAPPERS = frozenset({qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:customXml")})
# what a reader does not see, a second rendering for old programs, and what is written separately
_SKIPPED = frozenset(
    {qn("w:del"), qn("w:moveFrom"), qn("w:instrText"), qn("w:pPr"), qn("w:rPr"), qn("w:sectPr")}
    | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback", _BOX}
)
_NOTES = frozenset({"/word/footnotes.xml", "/word/endnotes.xml"})


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a Word document.

    Raises:
        ExtractionError: ``encrypted``, ``unsupported``, ``damaged`` or ``bomb``.
    """
    open_archive(data, what="Word").close()
    try:
        document: WordDocument = docx.Document(io.BytesIO(data))
    except (KeyError, ValueError, etree.XMLSyntaxError) as error:
        raise damaged("the Word file", error) from error
    builder = DocumentBuilder(source=source, name=name, media_type="docx")
    writer = BlockWriter(builder)
    walk = _Walk(writer, document)
    walk.blocks(document.element.body)
    for notes in _notes(document):
        builder.section(("Notes",))
        walk.blocks(notes)
    writer.close()
    title, metadata = core_properties(document.core_properties)
    return builder.build(title=walk.title or title, metadata=metadata)


class _Walk:
    """Writes the blocks of a document body.

    It reads the XML itself: python-docx leaves out insertions under review, content controls and
    text boxes, and repeats merged cells.
    """

    def __init__(self, writer: BlockWriter, document: WordDocument) -> None:
        self._writer = writer
        self.title: str | None = None
        self._styles = {style.style_id: style.name or "" for style in document.styles}

    def blocks(self, container: etree._Element) -> None:
        in_list = False
        for element in container:
            level = self._list_level(element) if element.tag == _PARAGRAPH else None
            if in_list != (level is not None):
                in_list = not in_list
                (self._writer.open_list if in_list else self._writer.close_list)()
            if level is not None:
                self._writer.item("  " * level + "- ")
            if element.tag == _PARAGRAPH:
                self._paragraph(element)
            elif element.tag == _TABLE:
                self._table(element)
            elif isinstance(element.tag, str) and element.tag not in _SKIPPED:
                self.blocks(element)  # a content control, an insertion, a note
        if in_list:
            self._writer.close_list()

    def _paragraph(self, paragraph: etree._Element) -> None:
        text, boxes = _read_paragraph(paragraph)
        style = self._style(paragraph)
        heading = _HEADING.fullmatch(style)
        if heading is not None:
            self._writer.heading(text, level=int(heading.group(1)))
        elif style.lower() == "title" and self.title is None:
            self.title = text
            self._writer.heading(text, level=0)
        else:
            self._writer.paragraph(text)
        for box in boxes:
            self.blocks(box)

    def _style(self, paragraph: etree._Element) -> str:
        style = paragraph.find(_STYLE)
        return "" if style is None else self._styles.get(style.get(_VALUE), "")

    def _list_level(self, paragraph: etree._Element) -> int | None:
        """Return the depth of a list item, None for other paragraphs."""
        style = self._style(paragraph)
        numbering = paragraph.find(_NUMBERING)
        if _HEADING.fullmatch(style) or (numbering is None and not style.startswith("List ")):
            return None
        level = None if numbering is None else numbering.find(qn("w:ilvl"))
        depth = "0" if level is None else level.get(_VALUE, "0")
        return min(int(depth), 9) if depth.isascii() and depth.isdigit() else 0

    def _table(self, table: etree._Element) -> None:
        self._writer.open_table()
        for row in _inner(table, _ROW):
            self._writer.row()
            for cell in _inner(row, _CELL):
                self._writer.cell()
                self.blocks(cell)
        self._writer.close_table()


def _inner(container: etree._Element, tag: str) -> Iterator[etree._Element]:
    """Yield the rows of a table or the cells of a row, those in content controls included."""
    for child in container:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _inner(child, tag)


def _read_paragraph(paragraph: etree._Element) -> tuple[str, list[etree._Element]]:
    """Return a paragraph's visible text and the text boxes anchored in it."""
    parts: list[str] = []
    boxes: list[etree._Element] = []
    walker = etree.iterwalk(paragraph, events=("start",))
    for _, element in walker:
        if element.tag == _BOX:
            boxes.append(element)
        if element.tag in _SKIPPED:
            walker.skip_subtree()
        elif element.tag == _RUN_TEXT:
            parts.append(element.text or "")
        else:
            parts.append(_TEXT.get(element.tag, ""))
    return "".join(parts).strip("\n"), boxes


def _notes(document: WordDocument) -> Iterator[etree._Element]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    for part in document.part.package.iter_parts():
        if str(part.partname) in _NOTES:
            yield etree.fromstring(part.blob, parser)
