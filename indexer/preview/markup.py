"""Shows Markdown and HTML as they are meant to look, with a passage marked. In the child process.

What comes back is sanitised here and once more by the parent: this process has read a stranger's
file with parsers that may have been taken over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lxml.html
from lxml import etree

from indexer.errors import ExtractionError
from indexer.extraction.protocol import Message
from indexer.loaders.html import is_hidden, parse_html
from indexer.loaders.markdown import markdown_html
from indexer.preview.alignment import align
from indexer.preview.sanitizing import FOUND_ID, IN_PASSAGE, PICTURE, sanitize
from indexer.preview.values import PreviewRequest

__all__ = ["show_markup"]

_MAX_HTML_CHARS = 2_000_000
_WHOLE_CHARS = 2_000  # a shorter text is shown whole where the window would cut it


@dataclass(slots=True)
class _Text:
    """A text of the tree.

    Args:
        element: to which it belongs.
        is_tail: it follows the element rather than being the first thing in it.
        text: what it says.
        start: where it begins in all of the texts together.
    """

    element: etree._Element
    is_tail: bool
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def show_markup(data: bytes, request: PreviewRequest) -> Message:
    """Return a stretch of a document around the passage, as ``protocol`` takes it.

    Raises:
        ExtractionError: it cannot be read, or its markup is too much.
    """
    root = _clean_tree(data, request.media_type)
    texts = list(_texts(root))
    length = texts[-1].end if texts else 0
    joined = "".join(text.text for text in texts)
    found = align(request.passage, joined, place=request.place) if request.passage else None
    passage = found.span if found else (0, 0)
    marks = [span for part in request.highlights for span in found.project(part)] if found else []
    window = passage[0] - request.before, passage[1] + request.after
    _cut(root, texts, window)
    if found:
        _mark(texts, passage, marks)
    html = etree.tostring(root, encoding="unicode", method="html")
    if len(html) > _MAX_HTML_CHARS:
        raise ExtractionError(
            "too_long",
            f"its markup has {len(html):,} characters for {length:,} of text",
            hint="its text can be read",
        )
    return {
        "html": sanitize(html, keeps_marks=True),
        "is_start": window[0] <= 0,
        "is_end": window[1] >= length,
        "has_passage": found is not None,
    }


def _clean_tree(data: bytes, media_type: str) -> lxml.html.HtmlElement:
    root = parse_html(markdown_html(data) if media_type == "markdown" else data)
    if root is None:
        return lxml.html.Element("div")
    for element in list(root.iter()):
        if isinstance(element.tag, str) and is_hidden(element) and element is not root:
            _remove(element)
    clean = sanitize(etree.tostring(root, encoding="unicode", method="html"))
    parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True)
    content = f"<div>{clean}</div>".encode("utf-8", "replace")
    tree = lxml.html.document_fromstring(content, parser=parser)[0]
    tree.tag = "div"
    for picture in list(tree.iter("img")):
        picture.tag, alternative = "span", picture.get("alt", "")
        picture.attrib.clear()
        picture.attrib["class"] = PICTURE
        picture.text = alternative
    return tree


def _texts(root: etree._Element) -> Iterator[_Text]:
    """Yield the texts in reading order."""
    start = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        text = element.text if event == "start" else element.tail
        if text and not (event == "end" and element is root):
            yield _Text(element, event == "end", text, start)
            start += len(text)


def _cut(root: etree._Element, texts: list[_Text], window: tuple[int, int]) -> None:
    """Leave out what lies wholly outside of the window, and keep the numbers of lists right."""
    low, high = window
    outside: set[etree._Element] = set()
    kept: set[etree._Element] = {root}
    for text in texts:
        if text.end > low and text.start < high:
            holder = text.element.getparent() if text.is_tail else text.element
            while holder is not None and holder not in kept:
                kept.add(holder)
                holder = holder.getparent()
            _shorten(text, low, high)
        else:
            _put(text, "")
            outside.add(text.element)
    for element in list(root.iter()):
        is_empty = not len(element) and not element.text
        if element in kept or (is_empty and element not in outside):
            continue
        if (element.tail or "").strip():
            continue  # an empty element does no harm, and its place holds what follows it
        _count_item(element)
        element.tail = None
        _remove(element)


def _shorten(text: _Text, low: int, high: int) -> None:
    if len(text.text) <= _WHOLE_CHARS:
        return
    first, last = max(0, low - text.start), min(len(text.text), high - text.start)
    text.text = text.text[first:last]
    text.start += first
    _put(text, text.text)


def _count_item(element: etree._Element) -> None:
    """Let a numbered list begin with the number of the first item that is left."""
    parent = element.getparent()
    if element.tag != "li" or parent is None or parent.tag != "ol":
        return
    if element.getprevious() is None:
        parent.set("start", str(int(parent.get("start", "1")) + 1))


def _remove(element: etree._Element) -> None:
    """Take an element out of the tree, but not the text that follows it."""
    parent, tail = element.getparent(), element.tail
    if parent is None:
        return
    if tail:
        previous = element.getprevious()
        if previous is not None:
            previous.tail = (previous.tail or "") + tail
        else:
            parent.text = (parent.text or "") + tail
    parent.remove(element)


def _put(text: _Text, content: str) -> None:
    if text.is_tail:
        text.element.tail = content
    else:
        text.element.text = content


def _mark(texts: list[_Text], passage: tuple[int, int], marks: list[tuple[int, int]]) -> None:
    """Wrap the parts of the passage, and in them what is to be marked."""
    is_first = True
    for text in texts:
        start, end = max(text.start, passage[0]), min(text.end, passage[1])
        if start >= end or not text.text[start - text.start : end - text.start].strip():
            continue
        span = lxml.html.Element("span")
        span.set("class", IN_PASSAGE)
        if is_first:
            span.set("id", FOUND_ID)
            is_first = False
        _fill(span, text, (start, end), marks)
        span.tail = text.text[end - text.start :]
        _put(text, text.text[: start - text.start])
        if text.is_tail:
            text.element.addnext(span)
        else:
            text.element.insert(0, span)


def _fill(
    span: etree._Element, text: _Text, part: tuple[int, int], marks: list[tuple[int, int]]
) -> None:
    place, last = part[0], None
    for start, end in marks:
        start, end = max(start, place), min(end, part[1])
        if start >= end:
            continue
        before = text.text[place - text.start : start - text.start]
        if last is None:
            span.text = before
        else:
            last.tail = before
        last = etree.SubElement(span, "mark")
        last.text = text.text[start - text.start : end - text.start]
        place = end
    rest = text.text[place - text.start : part[1] - text.start]
    if last is None:
        span.text = rest
    else:
        last.tail = rest
