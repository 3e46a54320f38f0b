"""Draws one page of a PDF with pdfium and finds a passage on it. Runs in the child process."""

from __future__ import annotations

import base64
import ctypes
import io
import math

import pypdfium2
from PIL import Image
from pypdfium2 import raw

from indexer.errors import ExtractionError
from indexer.extraction.protocol import Message
from indexer.loaders.faults import damaged
from indexer.preview.alignment import align
from indexer.preview.values import PreviewRequest

__all__ = ["draw_page"]

_WIDTH_PX = 1400  # twice what a reader's column has, for sharp letters
_MAX_PIXELS = 6_000_000
_MAX_SCALE = 8.0
_MAX_PNG_BYTES = 1_500_000  # above that it is photographs, which JPEG is made for
_JPEG_QUALITY = 82
_MAX_CHARS = 200_000  # of one page
_MAX_BOXES = 2_000
_WORD_GAP = 0.02  # of the page's width
_GRID = 100_000  # device units across a page, when places are asked for


def draw_page(data: bytes, request: PreviewRequest) -> Message:
    """Draw a page; return picture and boxes as ``protocol`` takes them.

    Raises:
        ExtractionError: ``encrypted``, ``damaged`` or ``missing`` (no such page).
    """
    document = _open(data)
    count = len(document)
    if not 1 <= request.page <= count:
        raise ExtractionError(
            "missing",
            f"it has {count} pages, and page {request.page} was asked for",
            hint="index the file again",
        )
    try:
        page = document[request.page - 1]
        picture = _draw(page)
        passage, highlights = _boxes(page, request)
    except pypdfium2.PdfiumError as error:
        raise damaged(f"page {request.page} of {count}", error) from error
    content, kind = _encoded(picture)
    return {
        "page": request.page,
        "pages": count,
        "picture": base64.b64encode(content).decode("ascii"),
        "picture_type": kind,
        "width": picture.width,
        "height": picture.height,
        "passage": passage,
        "highlights": highlights,
    }


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
            raise ExtractionError(
                "encrypted",
                "the PDF is encrypted and needs a password",
                hint="save it without a password",
            ) from error
        raise damaged("the PDF", error) from error


def _draw(page: pypdfium2.PdfPage) -> Image.Image:
    width, height = page.get_size()
    if not (width > 0 and height > 0 and math.isfinite(width * height)):
        raise pypdfium2.PdfiumError(f"a page of {width} by {height} points")
    scale = min(_WIDTH_PX / width, math.sqrt(_MAX_PIXELS / (width * height)), _MAX_SCALE)
    # forms are left out: their scripts and fields are nothing to be read
    bitmap = page.render(scale=scale, may_draw_forms=False)
    picture: Image.Image = bitmap.to_pil()
    return picture.convert("RGB")


def _encoded(picture: Image.Image) -> tuple[bytes, str]:
    for kind, options in (("png", {"compress_level": 6}), ("jpeg", {"quality": _JPEG_QUALITY})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        if buffer.tell() <= _MAX_PNG_BYTES:
            break
    return buffer.getvalue(), f"image/{kind}"


def _boxes(
    page: pypdfium2.PdfPage, request: PreviewRequest
) -> tuple[list[list[float]], list[list[float]]]:
    """Return boxes around the passage and around what is to be marked in it."""
    if not request.passage:
        return [], []
    text_page = page.get_textpage()
    count = min(text_page.count_chars(), _MAX_CHARS)
    text = "".join(chr(raw.FPDFText_GetUnicode(text_page.raw, at)) for at in range(count))
    found = align(request.passage, text)
    if found is None:
        return [], []
    highlights: list[list[float]] = []
    for span in request.highlights:
        for start, end in found.project(span):
            highlights += _rectangles(page, text_page, start, end)
    return _rectangles(page, text_page, *found.span), highlights[:_MAX_BOXES]


def _rectangles(
    page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage, start: int, end: int
) -> list[list[float]]:
    """Return ``[left, top, width, height]`` for each line of a stretch, in shares of the page."""
    boxes: list[list[float]] = []
    for number in range(min(text_page.count_rects(start, end - start), _MAX_BOXES)):
        left, bottom, right, top = text_page.get_rect(number)
        corners = [_on_page(page, left, top), _on_page(page, right, bottom)]
        (x0, x1), (y0, y1) = (sorted(values) for values in zip(*corners, strict=True))
        if x1 <= x0 or y1 <= y0:
            continue
        if boxes and _are_beside(boxes[-1], y0, y1, gap=x0 - boxes[-1][0] - boxes[-1][2]):
            left, top, width, height = boxes.pop()
            x0, y0 = min(x0, left), min(y0, top)
            x1, y1 = max(x1, left + width), max(y1, top + height)
        boxes.append([x0, y0, x1 - x0, y1 - y0])
    return boxes


def _are_beside(box: list[float], top: float, bottom: float, *, gap: float) -> bool:
    """Say whether a stretch goes on the line of a box, in another font as a rule."""
    shared = min(bottom, box[1] + box[3]) - max(top, box[1])
    return abs(gap) < _WORD_GAP and 2 * shared > min(bottom - top, box[3])


def _on_page(page: pypdfium2.PdfPage, x: float, y: float) -> tuple[float, float]:
    """Turn a point of the page's own space into shares of its width and height as it is drawn."""
    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page.raw, 0, 0, _GRID, _GRID, 0, x, y, across, down)
    return _share(across.value), _share(down.value)


def _share(place: int) -> float:
    return min(1.0, max(0.0, place / _GRID))
