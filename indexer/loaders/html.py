"""Reads HTML: headings, paragraphs, lists, tables and listings, without what a page is wrapped in.

Scripts, styles, navigation, form controls and hidden elements are left out. Nothing is fetched.
Other loaders hand it the HTML inside of their formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import lxml.html
from lxml import etree

from indexer.documents import Document
from indexer.errors import ExtractionError
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode

__all__ = ["add_html", "is_hidden", "load", "parse_html"]

_DROPPED_TAGS = """
    script style template noscript nav iframe object embed canvas audio video svg map button select
    textarea input datalist head title meta link dialog
"""
_BLOCK_TAGS = """
    address article aside blockquote body center details dd div dl dt fieldset figcaption figure
    footer form header hgroup hr html label legend li main ol p pre search section summary table
    tbody td tfoot th thead tr ul caption h1 h2 h3 h4 h5 h6
"""
_DROPPED = frozenset(_DROPPED_TAGS.split())
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "dl", "menu"})
_INVISIBLE_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_DECLARED = re.compile(
    rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]+encoding=[\"']([\w.:-]+)", re.I
)
_BREAK = "\x00"  # stands for <br> until white space is collapsed; cannot occur in parsed text
_META_FIELDS = {
    "author",
    "description",
    "keywords",
    "date",
    "dcterms.date",
    "article:published_time",
}


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read an HTML page.

    Raises:
        ExtractionError: ``binary`` when it is no text.
    """
    root = parse_html(data)
    builder = DocumentBuilder(source=source, name=name, media_type="html")
    if root is None:
        return builder.build()
    title = page_title(root)
    add_html(BlockWriter(builder), root)
    if not builder.length and title:
        builder.block(title)  # a page that a script fills can still be found by its title
    return builder.build(title=title, metadata=_metadata(root))


def parse_html(data: bytes | str) -> etree._Element | None:
    """Parse a page or a fragment; None when there is no element or text in it at all."""
    if isinstance(data, bytes):
        declared = _DECLARED.search(data[:4096])
        label = next((g for g in declared.groups() if g), b"") if declared else b""
        data = decode(data, declared=label.decode("ascii", "replace") or None)
    # bytes, because lxml refuses a str whose XML declaration names an encoding
    # huge_tree: without it, libxml2 silently drops texts over 10 MB and nesting over 256 levels
    parser = lxml.html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True
    )
    try:
        root = lxml.html.document_fromstring(data.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return None  # an empty document
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise ExtractionError(
            "damaged",
            "its elements are nested too deeply to be read completely",
            hint="open it in a browser and save its text",
        )
    return root


def page_title(root: etree._Element) -> str | None:
    """Return what the ``<title>`` of a page says."""
    title = root.find(".//head/title")
    return None if title is None else title.text


def add_html(writer: BlockWriter, root: etree._Element) -> None:
    """Write everything readable below ``root``."""
    _Walk(writer).run(root)


class _Walk:
    """One pass over the elements; iterative, because nesting depth is the document's choice."""

    def __init__(self, writer: BlockWriter) -> None:
        self._writer = writer
        self._inline: list[str] = []
        self._preformatted = 0
        self._counters: list[int | None] = []  # of the open lists; None: bullets
        self._layouts: list[bool] = []  # of the open tables: whether they only arrange the page

    def run(self, root: etree._Element) -> None:
        walker = etree.iterwalk(root, events=("start", "end"))
        events: Iterator[tuple[Literal["start", "end"], etree._Element]] = iter(walker)
        for event, element in events:
            tag = element.tag if isinstance(element.tag, str) else ""
            if event == "start":
                if tag in _DROPPED or is_hidden(element):
                    walker.skip_subtree()
                    continue
                self._start(tag, element)
                self._inline.append(element.text or "")
            else:
                if not (tag in _DROPPED or is_hidden(element)):
                    self._end(tag)
                if element is not root:
                    self._inline.append(element.tail or "")
        self._flush()
        self._writer.close()

    def _start(self, tag: str, element: etree._Element) -> None:
        if tag == "br":
            self._inline.append(_BREAK)
        elif tag == "img":
            self._inline.append(f" {element.get('alt') or ''} ")
        if tag in _BLOCKS:
            self._flush()
        if tag == "pre":
            self._preformatted += 1
        elif tag in _LISTS:
            self._counters.append(_first_number(element) if tag == "ol" else None)
            self._writer.open_list()
        elif tag in {"li", "dt", "dd"}:
            self._writer.item(self._marker(tag))
        else:
            self._start_table_part(tag, element)

    def _start_table_part(self, tag: str, element: etree._Element) -> None:
        if tag == "table":
            self._layouts.append(_is_layout(element))
            if not self._layouts[-1]:
                self._writer.open_table()
        elif tag == "tr":
            self._writer.row()
        elif tag in {"td", "th"}:
            self._writer.cell()

    def _end(self, tag: str) -> None:
        if tag not in _BLOCKS:
            return
        self._flush(level=_HEADINGS.get(tag))
        if tag == "pre":
            self._preformatted -= 1
        elif tag in _LISTS:
            if self._counters:
                self._counters.pop()
            self._writer.close_list()
        elif tag == "table" and self._layouts and not self._layouts.pop():
            self._writer.close_table()

    def _marker(self, tag: str) -> str:
        if tag != "li":
            return "  " if tag == "dd" else ""
        number = self._counters[-1] if self._counters else None
        if number is None:
            return "- "
        self._counters[-1] = number + 1
        return f"{number}. "

    def _flush(self, *, level: int | None = None) -> None:
        text = "".join(self._inline)
        self._inline.clear()
        if not self._preformatted:
            lines = (" ".join(line.split()) for line in text.split(_BREAK))
            text = "\n".join(lines).strip("\n")
        else:
            text = text.replace(_BREAK, "\n").strip("\n")
        if not text:
            return
        if level is not None:
            self._writer.heading(text, level=level)
        else:
            self._writer.paragraph(text)


def is_hidden(element: etree._Element) -> bool:
    """Say whether a page keeps an element from its readers."""
    if not element.attrib:
        return False
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or element.get("role") == "navigation"
        or _INVISIBLE_STYLE.search(element.get("style") or "") is not None
    )


def _is_layout(table: etree._Element) -> bool:
    """Say whether a table arranges a page rather than holding data."""
    return table.get("role") == "presentation" or any(
        True for inner in table.iter("table", *_HEADINGS) if inner is not table
    )


def _first_number(element: etree._Element) -> int:
    start = element.get("start") or ""
    return int(start) if start.isascii() and start.isdigit() and len(start) < 9 else 1


def _metadata(root: etree._Element) -> dict[str, str]:
    metadata = {"language": root.get("lang") or ""}
    for meta in root.iterfind(".//meta"):
        name = (meta.get("name") or meta.get("property") or "").lower()
        if name in _META_FIELDS:
            metadata[name] = meta.get("content") or ""
    return metadata
