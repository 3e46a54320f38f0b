"""Reads PDF with pypdf: a section for each page, under the bookmarks that are open there."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

import pypdf
from pypdf.errors import PyPdfError
from pypdf.generic import Destination

from indexer.documents import Document
from indexer.errors import ExtractionError
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import clean, one_line
from indexer.loaders.faults import damaged, describe, out_of_memory
from indexer.loaders.pdf_text import repair_pages
from indexer.loaders.supervision import check_length, report

__all__ = ["load"]

_INFO_FIELDS = {
    "/Author": "author",
    "/Subject": "subject",
    "/Keywords": "keywords",
    "/CreationDate": "created",
}
_NO_TITLE = re.compile(
    r"untitled|unknown|document\d*|(?:microsoft (?:word|powerpoint|excel) - .*)|"
    r".*\.(?:pdf|docx?|pptx?|xlsx?|odt|rtf|tex|dvi|indd|qxd|ps|eps|txt|html?|md)",
    re.I | re.S,
)
_DATE = re.compile(r"^D:(\d{4})(\d\d)(\d\d).*$", re.S)
_MAX_TITLE_CHARS = 200
_MAX_REPORTED_PAGES = 20
_TAIL_BYTES = 2048  # within which a whole file says that it ends


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a PDF file.

    Pages that cannot be read are left out and named in the metadata (``unreadable_pages``).

    Raises:
        ExtractionError: ``encrypted``, ``damaged`` or ``memory``.
    """
    # no other program is started for a document's sake
    with pypdf.apply_configuration(jbig2dec_binary=None):
        reader, count = _open(data)
        texts, failures = _read_pages(reader, count)
        if failures and not any(texts):
            raise damaged(f"page {failures[0][0]} of {count}", failures[0][1])
        headings = _page_headings(reader, count)
        title, metadata = _information(reader)
    builder = DocumentBuilder(source=source, name=name, media_type="pdf")
    for number, text in enumerate(repair_pages(texts), start=1):
        builder.section(headings[number - 1], page=number)
        builder.block(text)
    metadata["pages"] = str(count)
    metadata["created"] = _DATE.sub(r"\1-\2-\3", metadata.get("created", ""))
    if failures:
        metadata["unreadable_pages"] = "; ".join(
            f"{number}: {describe(error)}" for number, error in failures[:_MAX_REPORTED_PAGES]
        )
    return builder.build(title=title, metadata=metadata)


def _open(data: bytes) -> tuple[pypdf.PdfReader, int]:
    report("the file's structure")
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        # many encrypted files only restrict printing and open with the empty password
        if reader.is_encrypted and not reader.decrypt(""):
            raise ExtractionError(
                "encrypted",
                "the PDF is encrypted and needs a password",
                hint="save it without a password",
            )
        return reader, len(reader.pages)
    except (ExtractionError, MemoryError):
        raise
    # pypdf lets through whatever a malformed file provokes, KeyError and RecursionError included
    except Exception as error:
        if b"%%EOF" not in data[-_TAIL_BYTES:]:
            raise ExtractionError(
                "damaged",
                f"the PDF is cut off: its end is missing ({describe(error)})",
                hint="its copy or download did not finish: fetch it again",
            ) from error
        raise damaged("the PDF", error) from error


def _read_pages(
    reader: pypdf.PdfReader, count: int
) -> tuple[list[str], list[tuple[int, Exception]]]:
    """Return the raw text of every page, and what went wrong on which page."""
    texts: list[str] = []
    failures: list[tuple[int, Exception]] = []
    length = 0
    for number in range(1, count + 1):
        report(f"page {number} of {count}")
        try:
            texts.append(clean(reader.pages[number - 1].extract_text()))
        except MemoryError as error:
            raise out_of_memory(f"page {number} of {count}") from error
        # one bad page must not cost the others
        except Exception as error:
            texts.append("")
            failures.append((number, error))
        length += len(texts[-1])
        check_length(length)
    return texts, failures


def _page_headings(reader: pypdf.PdfReader, count: int) -> list[tuple[str, ...]]:
    """Return the bookmark path that covers each page.

    Where several bookmarks begin on a page, it is what their paths have in common: which of them
    a passage belongs to cannot be told from the page alone.
    """
    starting: dict[int, list[tuple[str, ...]]] = {}
    report("the bookmarks")
    # bookmarks are a convenience: a damaged outline must not cost the text
    try:
        for page, path in _bookmarks(reader, reader.outline, ()):
            starting.setdefault(page, []).append(path)
    except MemoryError:
        raise
    except Exception:
        starting.clear()
    headings: list[tuple[str, ...]] = []
    current: tuple[str, ...] = ()
    for page in range(count):
        paths = starting.get(page)
        headings.append(_common_path(paths) if paths else current)
        current = paths[-1] if paths else current
    return headings


def _bookmarks(
    reader: pypdf.PdfReader, outline: Sequence[object], parent: tuple[str, ...]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    path = parent
    for entry in outline:
        if isinstance(entry, list):
            # the children of the entry before
            yield from _bookmarks(reader, entry, path)
        elif isinstance(entry, Destination):
            title = one_line(entry.title or "")
            path = (*parent, title) if title else parent
            page = reader.get_destination_page_number(entry)
            if page is not None and title:
                yield page, path


def _common_path(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    shared = 0
    for names in zip(*paths, strict=False):
        if len(set(names)) > 1:
            break
        shared += 1
    return paths[0][:shared]


def _information(reader: pypdf.PdfReader) -> tuple[str | None, dict[str, str]]:
    try:
        information = dict(reader.metadata or {})
        fields = {
            name: clean(str(information[key]))
            for key, name in _INFO_FIELDS.items()
            if key in information
        }
        title = one_line(str(information.get("/Title", "")))
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, {}  # as with bookmarks: the text does not depend on it
    usable = (
        len(title) <= _MAX_TITLE_CHARS
        and any(char.isalpha() for char in title)
        and not _NO_TITLE.fullmatch(title)
    )
    return (title if usable else None), fields
