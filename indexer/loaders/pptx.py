"""Reads PowerPoint files with python-pptx: a section for each slide, its notes included."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pptx
from lxml import etree
from pptx.exc import PackageNotFoundError, PythonPptxError
from pptx.shapes.base import BaseShape
from pptx.shapes.group import GroupShape
from pptx.slide import Slide

from indexer.documents import Document
from indexer.loaders.archive import open_archive
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import one_line
from indexer.loaders.faults import damaged
from indexer.loaders.office import core_properties
from indexer.loaders.supervision import report

__all__ = ["load"]

_DIAGRAM_DATA = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData"
_DRAWING_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_DRAWING_PARAGRAPH = "{http://schemas.openxmlformats.org/drawingml/2006/main}p"


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a presentation; pages are slide numbers.

    Raises:
        ExtractionError: ``encrypted``, ``unsupported``, ``damaged`` or ``bomb``.
    """
    open_archive(data, what="PowerPoint").close()
    try:
        presentation = pptx.Presentation(io.BytesIO(data))
    except (
        KeyError,
        ValueError,
        PackageNotFoundError,
        PythonPptxError,
        etree.XMLSyntaxError,
    ) as error:
        raise damaged("the PowerPoint file", error) from error
    builder = DocumentBuilder(source=source, name=name, media_type="pptx")
    slides = presentation.slides
    for number, slide in enumerate(slides, start=1):
        report(f"slide {number} of {len(slides)}")
        _write_slide(builder, slide, number)
    title, metadata = core_properties(presentation.core_properties)
    return builder.build(title=title, metadata={**metadata, "slides": str(len(slides))})


def _write_slide(builder: DocumentBuilder, slide: Slide, number: int) -> None:
    title_shape = slide.shapes.title
    title = one_line(title_shape.text_frame.text) if title_shape is not None else ""
    builder.section((title,) if title else (), page=number)
    builder.block(title)
    writer = BlockWriter(builder)
    # the title is a new object on each access: compare ids
    title_id = None if title_shape is None else title_shape.shape_id
    _write_shapes(writer, (shape for shape in slide.shapes if shape.shape_id != title_id))
    for diagram in _diagrams(slide):
        builder.block(diagram)
    if slide.has_notes_slide:
        notes = slide.notes_slide.notes_text_frame
        builder.block(_lines(notes.text) if notes is not None else "")


def _write_shapes(writer: BlockWriter, shapes: Iterable[BaseShape]) -> None:
    for shape in shapes:
        if isinstance(shape, GroupShape):
            _write_shapes(writer, shape.shapes)
        elif shape.has_table:
            writer.open_table()
            for row in shape.table.rows:
                writer.row()
                for cell in row.cells:
                    if not cell.is_spanned:
                        writer.cell()
                        writer.paragraph(_lines(cell.text_frame.text))
            writer.close_table()
        elif shape.has_text_frame:
            writer.paragraph(_lines(shape.text_frame.text))
        elif shape.has_chart and shape.chart.has_title:
            writer.paragraph(_lines(shape.chart.chart_title.text_frame.text))


def _diagrams(slide: Slide) -> Iterable[str]:
    """Yield the text of SmartArt, which lies in parts of its own."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    for relation in slide.part.rels.values():
        if relation.reltype == _DIAGRAM_DATA and not relation.is_external:
            root = etree.fromstring(relation.target_part.blob, parser)
            paragraphs = (
                "".join(run.text or "" for run in paragraph.iter(_DRAWING_TEXT))
                for paragraph in root.iter(_DRAWING_PARAGRAPH)
            )
            yield "\n".join(text for text in paragraphs if text.strip())


def _lines(text: str) -> str:
    # PowerPoint writes line breaks inside a paragraph as vertical tabs
    lines = (" ".join(line.split()) for line in text.replace("\v", "\n").split("\n"))
    return "\n".join(line for line in lines if line)
