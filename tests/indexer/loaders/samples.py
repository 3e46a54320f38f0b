"""Real files of every format, made by the libraries that people make them with."""

from __future__ import annotations

import email.message
import io
import json
import zipfile
from collections.abc import Callable, Sequence

import docx
import openpyxl
import pptx
import pypdf
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from indexer.documents import Document, document_id
from indexer.errors import ExtractionError
from indexer.loaders import HEAD_BYTES, MEDIA_TYPES, detect, load

PARAGRAPHS = (
    "The tide table lists high water at the old harbour for every day of the year.",
    "Fishing boats leave two hours before, when the channel is deep enough for them.",
)


def read(data: bytes, name: str) -> Document:
    """Detect and load a file as the indexer does, checking what holds for every document."""
    from pathlib import Path

    media_type = detect(Path(name), data[:HEAD_BYTES])
    assert media_type is not None
    document = load(data, source=f"/files/{name}", name=name, media_type=media_type)
    check(document)
    assert document.id == document_id(f"/files/{name}")
    return document


def try_to_load(data: bytes, name: str, media_type: str) -> Document | ExtractionError:
    """Load a file that may be beyond reading; a refusal says why and what to do."""
    try:
        outcome: Document | ExtractionError = load(
            data, source="s", name=name, media_type=media_type
        )
    except ExtractionError as error:
        outcome = error
    if isinstance(outcome, Document):
        check(outcome)
    else:
        assert outcome.code
        assert outcome.message
        assert outcome.hint
    return outcome


def check(document: Document) -> None:
    """Assert what every document promises."""
    assert document.title.strip() == document.title != ""
    assert "\n" not in document.title
    assert document.media_type in MEDIA_TYPES
    assert "\x00" not in document.text
    assert "\r" not in document.text
    assert not any("\ud800" <= char <= "\udfff" for char in document.text)
    position = 0
    for section in document.sections:
        assert position <= section.start < section.end <= len(document.text)
        assert document.text[position : section.start].strip() == ""
        assert all(heading.strip() for heading in section.headings)
        position = section.end
    assert document.text[position:].strip() == ""
    assert all(isinstance(value, str) and value for value in document.metadata.values())


def sections(document: Document) -> list[tuple[tuple[str, ...], int | None, str]]:
    """Return heading path, page and text of each section."""
    return [(s.headings, s.page, document.text[s.start : s.end]) for s in document.sections]


def pdf(
    pages: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    bookmarks: Sequence[tuple[int, str, int]] = (),
) -> bytes:
    """Return a PDF; ``bookmarks`` are (page, title, level) with pages from 1 and levels from 0."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    if title is not None:
        canvas.setTitle(title)
    for number, lines in enumerate(pages, start=1):
        for page, name, level in bookmarks:
            if page == number:
                canvas.bookmarkPage(name)
                canvas.addOutlineEntry(name, name, level)
        text = canvas.beginText(72, 780)
        for line in lines:
            text.textLine(line)
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def encrypted_pdf(*, user_password: str) -> bytes:
    """Return a PDF that is encrypted with AES-256."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf([PARAGRAPHS])))
    writer.encrypt(user_password, owner_password="owner", algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def word(build: Callable[[docx.document.Document], None]) -> bytes:
    """Return a DOCX that ``build`` has filled."""
    document = docx.Document()
    document.core_properties.title = ""
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def slides(build: Callable[[pptx.presentation.Presentation], None]) -> bytes:
    """Return a PPTX that ``build`` has filled."""
    presentation = pptx.Presentation()
    build(presentation)
    buffer = io.BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    """Return an XLSX with these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def archive(members: dict[str, str | bytes]) -> bytes:
    """Return a ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            compression = zipfile.ZIP_STORED if name == "mimetype" else None
            file.writestr(name, content, compression)
    return buffer.getvalue()


def replace_member(data: bytes, name: str, content: str | bytes) -> bytes:
    """Return an archive with one member's content exchanged."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members: dict[str, str | bytes] = {member: file.read(member) for member in file.namelist()}
    assert name in members
    return archive(members | {name: content})


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)


def epub(chapters: Sequence[tuple[str, str]], *, extra: dict[str, str] | None = None) -> bytes:
    """Return an EPUB 3 of ``(title in the table of contents, body)`` chapters."""
    files = {f"chapter {i}.xhtml": body for i, (_, body) in enumerate(chapters, start=1)}
    items = "".join(
        f'<item id="c{i}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for i, name in enumerate(files, start=1)
    )
    # the manifest lists the chapters in order, the spine decides: last chapter first in the zip
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(1, len(files) + 1))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Harbour Tales</dc:title>'
        "<dc:creator>Ada Quay</dc:creator></metadata>"
        f'<manifest>{items}<item id="nav" href="nav.xhtml" properties="nav" '
        f'media-type="application/xhtml+xml"/></manifest><spine>{spine}</spine></package>'
    )
    links = "".join(
        f'<li><a href="chapter%20{i}.xhtml">{title}</a></li>'
        for i, (title, _) in enumerate(chapters, start=1)
    )
    nav = (
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f'<body><nav epub:type="toc"><ol>{links}</ol></nav></body></html>'
    )
    pages = {
        f"OEBPS/{name}": f"<html><head><title>page</title></head><body>{body}</body></html>"
        for name, body in reversed(files.items())
    }
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": package,
            "OEBPS/nav.xhtml": nav,
            **pages,
            **(extra or {}),
        }
    )


def message(subject: str, text: str | None, html: str | None = None) -> email.message.EmailMessage:
    """Return an e-mail with a plain text or an HTML part or both."""
    mail = email.message.EmailMessage()
    mail["Subject"] = subject
    mail["From"] = "Harbour Office <office@example.org>"
    mail["To"] = "crew@example.org"
    mail["Date"] = "Mon, 02 Mar 2026 08:30:00 +0000"
    if text is not None:
        mail.set_content(text)
        if html is not None:
            mail.add_alternative(html, subtype="html")
    elif html is not None:
        mail.set_content(html, subtype="html")
    return mail


def one_of_each() -> dict[str, bytes]:
    """Return a small valid file of every format by file name."""
    first, second = PARAGRAPHS

    def add_text(document: docx.document.Document) -> None:
        document.add_heading("Tides", 1)
        document.add_paragraph(first)

    def add_slide(presentation: pptx.presentation.Presentation) -> None:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = "Tides"
        slide.placeholders[1].text = first

    return {
        "tides.pdf": pdf([[first], [second]]),
        "tides.md": f"# Tides\n\n{first}\n\n## Boats\n\n{second}\n".encode(),
        "tides.txt": f"{first}\n\n{second}\n".encode(),
        "tides.rst": f"Tides\n=====\n\n{first}\n\nBoats\n-----\n\n{second}\n".encode(),
        "tides.html": f"<title>Tides</title><h1>Tides</h1><p>{first}<p>{second}".encode(),
        "tides.docx": word(add_text),
        "tides.pptx": slides(add_slide),
        "tides.xlsx": workbook({"Tides": [["Day", "High", "Low"], ["Monday", 4.2, 1]]}),
        "tides.csv": b"Day,High,Low\nMonday,4.2,1.0\nTuesday,4.4,0.9\n",
        "tides.json": json.dumps({"title": "Tides", "days": [{"day": "Monday"}]}).encode(),
        "tides.jsonl": b'{"day": "Monday"}\n{"day": "Tuesday"}\n',
        "tides.epub": epub([("High water", f"<p>{first}</p>"), ("Boats", f"<p>{second}</p>")]),
        "tides.py": b'"""Tides."""\n\n\ndef high_water(day):\n    return day\n',
        "tides.eml": bytes(message("Tides", f"{first}\n\n{second}\n")),
    }
