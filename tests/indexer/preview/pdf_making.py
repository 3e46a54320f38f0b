"""PDF files for the tests: honest ones, and one that no renderer gets to the end of."""

from __future__ import annotations

import io

import pypdf
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    FloatObject,
    NameObject,
)
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas


def pdf(*pages: str, size: tuple[float, float] = A4) -> bytes:
    """Return a PDF with a line of text at the upper left of each page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size)
    for text in pages:
        canvas.setFont("Helvetica", 12)
        canvas.drawString(72, size[1] - 84, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def billion_forms(depth: int = 40) -> bytes:
    """Return a PDF of forms that each draw the next one twenty times."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    inner = None
    for _ in range(depth):
        form = DecodedStreamObject()
        resources = DictionaryObject()
        if inner is None:
            form.set_data(b"0 0 100 100 re f " * 50)
        else:
            form.set_data(b"/F Do " * 20)
            resources[NameObject("/XObject")] = DictionaryObject({NameObject("/F"): inner})
        form.update(
            {
                NameObject("/Type"): NameObject("/XObject"),
                NameObject("/Subtype"): NameObject("/Form"),
                NameObject("/BBox"): ArrayObject([FloatObject(n) for n in (0, 0, 100, 100)]),
                NameObject("/Resources"): resources,
            }
        )
        inner = writer._add_object(form)
    content = DecodedStreamObject()
    content.set_data(b"/F Do")
    page[NameObject("/Contents")] = writer._add_object(content)
    page[NameObject("/Resources")] = DictionaryObject(
        {NameObject("/XObject"): DictionaryObject({NameObject("/F"): inner})}
    )
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def endless_page(text: str) -> bytes:
    """Return a PDF whose only page has a text that can be extracted, and cannot be drawn."""
    writer = pypdf.PdfWriter(io.BytesIO(billion_forms()))
    words = pypdf.PdfReader(io.BytesIO(pdf(text)))
    writer.pages[0].merge_page(words.pages[0], over=False)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()
