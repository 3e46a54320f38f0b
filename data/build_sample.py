"""Build the PDF and DOCX files of the sample corpus from ``data/sources``.

Run ``python data/build_sample.py`` from anywhere. The output depends on the sources and on the two
libraries in ``BUILT_WITH`` alone: no clock, no random ids and no compression go into it, so that a
second run writes the same bytes. ``--output DIR`` writes somewhere else than into the corpus.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape

from docx import Document as new_docx
from docx.document import Document as DocxDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.text.paragraph import Paragraph as DocxParagraph
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

DATA = Path(__file__).resolve().parent
BUILT_WITH = {"reportlab": "5.1.0", "python-docx": "1.2.0"}

INK, ACCENT, TINT = HexColor("#222222"), HexColor("#0b5d5b"), HexColor("#e8f1f0")
BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=14.5, spaceAfter=6)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=10, leading=12.5, spaceAfter=0)
LIST = ParagraphStyle("list", parent=BODY, leftIndent=14, bulletIndent=2, spaceAfter=3)
SUBTITLE = ParagraphStyle("subtitle", parent=BODY, fontName="Times-Italic", spaceAfter=10)
HEADINGS = {
    1: ParagraphStyle("h1", fontName="Helvetica-Bold", fontSize=18, leading=22, textColor=ACCENT),
    2: ParagraphStyle(
        "h2", fontName="Helvetica-Bold", fontSize=13, leading=17, spaceAfter=5, textColor=ACCENT
    ),
    3: ParagraphStyle(
        "h3", fontName="Helvetica-Bold", fontSize=11, leading=14, spaceBefore=5, spaceAfter=3
    ),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one face."""

    text: str
    bold: bool = False
    italic: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a source.

    Args:
        kind: ``heading``, ``paragraph``, ``bullet``, ``number``, ``table`` or ``page_break``.
        spans: the text; empty for tables and page breaks.
        level: heading level, or the place of an item in its list.
        rows: the cells of a table, header row first.
    """

    kind: str
    spans: tuple[Span, ...] = ()
    level: int = 0
    rows: tuple[tuple[tuple[Span, ...], ...], ...] = ()


def split_front_matter(source: str) -> tuple[dict[str, str], str]:
    """Return the ``key: value`` lines between the leading ``---`` fences, and the rest."""
    _, header, body = source.split("---\n", 2)
    pairs = (line.partition(": ") for line in header.splitlines())
    return {key: value for key, _, value in pairs}, body


def inline_spans(
    node: SyntaxTreeNode, *, bold: bool = False, italic: bool = False
) -> tuple[Span, ...]:
    """Return the faces of the text below a node; a line break in the source is a space."""
    if node.type in ("text", "softbreak"):
        return (Span(node.content or " ", bold, italic),)
    if node.type not in ("inline", "strong", "em"):
        raise ValueError(f"inline element {node.type!r} is not supported: use *italic* or **bold**")
    bold, italic = bold or node.type == "strong", italic or node.type == "em"
    children = (child for child in node.children if child.type != "text" or child.content)
    spans = (inline_spans(child, bold=bold, italic=italic) for child in children)
    return tuple(span for run in spans for span in run)


def parse_blocks(body: str) -> Iterator[Block]:
    """Yield the blocks of a source; a thematic break is a page break."""
    root = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(body))
    for node in root.children:
        match node.type:
            case "heading":
                yield Block("heading", inline_spans(node.children[0]), int(node.tag[1]))
            case "paragraph":
                yield Block("paragraph", inline_spans(node.children[0]))
            case "bullet_list" | "ordered_list":
                kind = "bullet" if node.type == "bullet_list" else "number"
                for number, item in enumerate(node.children, start=1):
                    yield Block(kind, inline_spans(item.children[0].children[0]), number)
            case "table":
                rows = (row for part in node.children for row in part.children)
                cells = (
                    tuple(inline_spans(cell.children[0]) for cell in row.children) for row in rows
                )
                yield Block("table", rows=tuple(cells))
            case "hr":
                yield Block("page_break")
            case _:
                raise ValueError(f"block element {node.type!r} is not supported in a source")


def pdf_markup(spans: tuple[Span, ...]) -> str:
    """Return spans in reportlab's paragraph markup."""
    parts = []
    for span in spans:
        text = escape(span.text)
        text = f"<i>{text}</i>" if span.italic else text
        parts.append(f"<b>{text}</b>" if span.bold else text)
    return "".join(parts)


def pdf_table(block: Block, width: float) -> Table:
    """Return a table whose columns share ``width`` in proportion to their longest cells."""
    cells = [[Paragraph(pdf_markup(cell), CELL) for cell in row] for row in block.rows]
    lengths = [
        max(18, *(sum(len(span.text) for span in cell) for cell in column))
        for column in zip(*block.rows, strict=True)
    ]
    shares = [min(length, 44) for length in lengths]
    table = Table(
        cells,
        colWidths=[width * share / sum(shares) for share in shares],
        repeatRows=1,
        spaceBefore=3,
        spaceAfter=8,
        style=TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, 0), TINT),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, ACCENT),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        ),
    )
    return table


def pdf_flowable(block: Block, width: float) -> Flowable:
    """Return the reportlab object that draws a block."""
    markup = pdf_markup(block.spans)
    match block.kind:
        case "heading":
            style = ParagraphStyle("kept", parent=HEADINGS[block.level], keepWithNext=1)
            return Paragraph(markup, style)
        case "bullet":
            return Paragraph(markup, LIST, bulletText="\u2022")
        case "number":
            return Paragraph(markup, LIST, bulletText=f"{block.level}.")
        case "table":
            return pdf_table(block, width)
        case "page_break":
            return PageBreak()
        case _:
            return Paragraph(markup, BODY)


def render_pdf(meta: dict[str, str], blocks: list[Block]) -> bytes:
    """Return an A5 booklet with the title on its first page and a footer on every page."""
    buffer = io.BytesIO()
    template = BaseDocTemplate(
        buffer,
        pagesize=A5,
        leftMargin=16 * mm,
        rightMargin=16 * mm,
        topMargin=15 * mm,
        bottomMargin=18 * mm,
        title=meta["title"],
        author=meta["author"],
        subject=meta["subtitle"],
        invariant=1,  # fixes the dates and the document id
        pageCompression=0,  # deflate differs between builds of zlib
    )

    def draw_footer(canvas: Canvas, _: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 7.5)
        canvas.setFillColor(INK)
        canvas.drawString(16 * mm, 10 * mm, f"{meta['author']} \u00b7 {meta['title']}")
        canvas.drawRightString(A5[0] - 16 * mm, 10 * mm, f"Page {canvas.getPageNumber()}")

    story: list[Flowable] = [
        Paragraph(escape(meta["title"]), HEADINGS[1]),
        Paragraph(escape(meta["subtitle"]), SUBTITLE),
        Spacer(1, 4),
        *(pdf_flowable(block, template.width - 12) for block in blocks),  # a frame pads 6 pt a side
    ]
    frame = Frame(template.leftMargin, template.bottomMargin, template.width, template.height)
    template.addPageTemplates(PageTemplate(frames=[frame], onPageEnd=draw_footer))
    template.build(story)
    return buffer.getvalue()


def add_runs(paragraph: DocxParagraph, spans: tuple[Span, ...]) -> None:
    """Append spans to a paragraph, with their faces."""
    for span in spans:
        run = paragraph.add_run(span.text)
        run.bold, run.italic = span.bold or None, span.italic or None


def add_docx_block(document: DocxDocument, block: Block) -> None:
    """Append a block to a Word document."""
    match block.kind:
        case "heading":
            add_runs(document.add_heading(level=block.level - 1), block.spans)
        case "bullet":
            add_runs(document.add_paragraph(style="List Bullet"), block.spans)
        case "number":
            add_runs(document.add_paragraph(style="List Number"), block.spans)
        case "table":
            table = document.add_table(len(block.rows), len(block.rows[0]), "Table Grid")
            for cells, row in zip(block.rows, table.rows, strict=True):
                for spans, cell in zip(cells, row.cells, strict=True):
                    add_runs(cell.paragraphs[0], spans)
            for cell in table.rows[0].cells:
                for run in cell.paragraphs[0].runs:
                    run.bold = True
            document.add_paragraph()
        case "page_break":
            document.add_page_break()
        case _:
            add_runs(document.add_paragraph(), block.spans)


def drop_unused_parts(document: DocxDocument) -> None:
    """Take out what the template brings and no document uses: nine tenths of its size."""
    for style in list(document.styles):
        if style.type == WD_STYLE_TYPE.TABLE and style.name not in ("Normal Table", "Table Grid"):
            style.delete()
    for relations in (document.part.rels, document.part.package.rels):
        for key, relation in list(relations.items()):
            if relation.reltype.endswith(("/stylesWithEffects", "/thumbnail", "/customXml")):
                del relations[key]


def render_docx(meta: dict[str, str], blocks: list[Block]) -> bytes:
    """Return a Word document whose first paragraph is the title."""
    document = new_docx()
    drop_unused_parts(document)
    written = datetime.fromisoformat(meta["date"])
    properties = document.core_properties
    properties.title, properties.author = meta["title"], meta["author"]
    properties.last_modified_by, properties.comments = meta["author"], ""
    properties.created = properties.modified = written
    document.add_heading(meta["title"], level=0)
    for block in blocks:
        add_docx_block(document, block)
    buffer = io.BytesIO()
    document.save(buffer)
    return fixed_zip(buffer.getvalue())


def fixed_zip(archive: bytes) -> bytes:
    """Return the same zip without time stamps and without compression."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # otherwise the platform's own number
            new.writestr(entry, old.read(name))
    return buffer.getvalue()


def build(output: Path) -> list[Path]:
    """Write every PDF and DOCX below ``output`` and return their paths.

    Raises:
        ValueError: when a source uses Markdown that the two renderings do not know.
    """
    written = []
    for suffix, render in (("pdf", render_pdf), ("docx", render_docx)):
        folder = DATA / "sources" / suffix
        for source in sorted(folder.rglob("*.md")):
            meta, body = split_front_matter(source.read_text(encoding="utf-8"))
            target = output / source.relative_to(folder).with_suffix(f".{suffix}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(render(meta, list(parse_blocks(body))))
            written.append(target)
    return written


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description="Build the PDF and DOCX files of the sample.")
    parser.add_argument("--output", type=Path, default=DATA / "sample" / "documents")
    output: Path = parser.parse_args().output
    written = build(output)
    sys.stdout.write(f"{len(written)} documents written to {output}\n")


if __name__ == "__main__":
    main()
