"""Reads EPUB books: the chapters in reading order, under their titles in the table of contents."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote

from lxml import etree

from indexer.documents import Document
from indexer.errors import ExtractionError
from indexer.loaders.archive import open_archive, read_member
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.faults import damaged
from indexer.loaders.html import add_html, page_title, parse_html
from indexer.loaders.supervision import report

__all__ = ["load"]

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FIELDS = ("creator", "language", "publisher", "date", "subject", "description")
_CHAPTER_TYPES = frozenset({"application/xhtml+xml", "text/html", "application/xml"})


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a book.

    Raises:
        ExtractionError: ``encrypted``, ``damaged`` or ``bomb``.
    """
    with open_archive(data, what="EPUB") as archive:
        folder, package = _package(archive)
        chapters = list(_chapters(package, folder))
        _refuse_encrypted(archive, chapters)
        labels = _contents(archive, package, folder)
        builder = DocumentBuilder(source=source, name=name, media_type="epub")
        for number, chapter in enumerate(chapters, start=1):
            report(f"chapter {number} of {len(chapters)}")
            _write_chapter(builder, read_member(archive, chapter, what="EPUB"), labels.get(chapter))
    fields = {field: "; ".join(_texts(package, field)) for field in ("title", *_FIELDS)}
    return builder.build(title=fields.pop("title"), metadata=fields)


def _write_chapter(builder: DocumentBuilder, page: bytes, label: str | None) -> None:
    root = parse_html(page)
    if root is None:
        return
    headings = root.iter("h1", "h2", "h3", "h4", "h5", "h6")
    if any(_text(heading) for heading in headings):
        builder.section(())
    else:
        builder.heading(label or page_title(root) or "", level=1)
    add_html(BlockWriter(builder), root)


def _parse_xml(data: bytes, name: str) -> etree._Element:
    # entities are never expanded: a few nested ones can stand for gigabytes
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise damaged(f"{name!r} in the EPUB file", error) from error


def _package(archive: zipfile.ZipFile) -> tuple[str, etree._Element]:
    """Return the folder of the package document and its root."""
    container = _parse_xml(read_member(archive, _CONTAINER, what="EPUB"), _CONTAINER)
    rootfile = container.find(".//{*}rootfile")
    path = "" if rootfile is None else rootfile.get("full-path", "")
    package = _parse_xml(read_member(archive, path, what="EPUB"), path)
    return posixpath.dirname(path), package


def _items(package: etree._Element) -> dict[str, etree._Element]:
    return {item.get("id", ""): item for item in package.iterfind(".//{*}manifest/{*}item")}


def _resolve(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


def _chapters(package: etree._Element, folder: str) -> Iterator[str]:
    """Yield the archive paths of the chapters in reading order."""
    items = _items(package)
    for reference in package.iterfind(".//{*}spine/{*}itemref"):
        item = items.get(reference.get("idref", ""))
        if item is not None and item.get("media-type") in _CHAPTER_TYPES:
            yield _resolve(folder, item.get("href", ""))


def _contents(archive: zipfile.ZipFile, package: etree._Element, folder: str) -> dict[str, str]:
    """Return the chapters' titles by archive path, from the EPUB 3 or EPUB 2 table of contents."""
    labels: dict[str, str] = {}
    members = set(archive.namelist())
    for item in _items(package).values():
        path = _resolve(folder, item.get("href", ""))
        is_nav = "nav" in (item.get("properties") or "").split()
        is_ncx = item.get("media-type") == "application/x-dtbncx+xml"
        if not (is_nav or is_ncx) or path not in members:
            continue
        root = _parse_xml(archive.read(path), path)
        entries = _nav_entries(root) if is_nav else _ncx_entries(root)
        for href, label in entries:
            if label:
                labels.setdefault(_resolve(posixpath.dirname(path), href), label)
    return labels


def _nav_entries(root: etree._Element) -> Iterator[tuple[str, str]]:
    for link in root.iterfind(".//{*}nav//{*}a"):
        yield link.get("href", ""), _text(link)


def _text(element: etree._Element) -> str:
    return " ".join(" ".join(str(piece) for piece in element.itertext()).split())


def _ncx_entries(root: etree._Element) -> Iterator[tuple[str, str]]:
    for point in root.iterfind(".//{*}navPoint"):
        content, label = point.find("{*}content"), point.find("{*}navLabel/{*}text")
        if content is not None and label is not None:
            yield content.get("src", ""), " ".join((label.text or "").split())


def _refuse_encrypted(archive: zipfile.ZipFile, chapters: list[str]) -> None:
    if _ENCRYPTION not in archive.namelist():
        return
    encryption = _parse_xml(archive.read(_ENCRYPTION), _ENCRYPTION)
    locked = {unquote(ref.get("URI", "")) for ref in encryption.iterfind(".//{*}CipherReference")}
    # fonts alone are often scrambled in books that are free to read
    if locked.intersection(chapters):
        raise ExtractionError(
            "encrypted",
            "the book is protected against copying (DRM)",
            hint="only a copy without protection can be read",
        )


def _texts(package: etree._Element, field: str) -> Iterator[str]:
    for element in package.iterfind(f".//{{http://purl.org/dc/elements/1.1/}}{field}"):
        if element.text and element.text.strip():
            yield element.text.strip()
