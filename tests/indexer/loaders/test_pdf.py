from __future__ import annotations

import io

import pypdf
import pytest

from indexer.errors import ExtractionError
from indexer.loaders import load
from indexer.loaders.supervision import supervised
from tests.indexer.loaders.samples import PARAGRAPHS, encrypted_pdf, pdf, read, sections


def test_a_section_for_each_page_under_its_bookmarks():
    document = read(
        pdf(
            [["Cover"], ["The tide."], ["Still the tide."], ["The moon."], ["Two at once."]],
            title="Harbour Almanac",
            bookmarks=[
                (2, "Tides", 0),
                (2, "Causes", 1),
                (4, "Moon", 1),
                (5, "Boats", 0),
                (5, "Nets", 0),
            ],
        ),
        "almanac.pdf",
    )
    assert document.title == "Harbour Almanac"
    assert document.metadata["pages"] == "5"
    assert document.metadata["created"] == "2000-01-01"
    assert sections(document) == [
        ((), 1, "Cover"),
        (("Tides",), 2, "The tide."),
        (("Tides", "Causes"), 3, "Still the tide."),
        (("Tides", "Moon"), 4, "The moon."),
        ((), 5, "Two at once."),
    ]


@pytest.mark.parametrize(
    "title", ["untitled", "Microsoft Word - a.doc", "report.pdf", "x.indd", "", "123", "t" * 250]
)
def test_titles_that_programs_make_up_are_not_titles(title):
    assert read(pdf([["text"]], title=title), "file.pdf").title == "file.pdf"


def test_empty_pages_keep_the_numbers_of_the_others():
    document = read(pdf([["one"], [], ["three"]]), "a.pdf")
    assert [page for _, page, _ in sections(document)] == [1, 3]


def test_a_pdf_without_text_has_no_sections_and_says_how_many_pages():
    document = read(pdf([[], []]), "scan.pdf")
    assert document.sections == ()
    assert document.metadata["pages"] == "2"


def test_lines_are_joined_to_paragraphs():
    lines = [
        "The harbour master keeps a record of every boat that comes in and a sum-",
        "mary of its catch, which he sends to the town at the end of each month.",
        "Fees",
        "They are due on the first day of the month.",
    ]
    assert read(pdf([lines]), "a.pdf").text == (
        "The harbour master keeps a record of every boat that comes in and a summary of its "
        "catch, which he sends to the town at the end of each month.\nFees\n"
        "They are due on the first day of the month."
    )


def test_encrypted_with_a_password():
    with pytest.raises(ExtractionError, match="needs a password") as caught:
        read(encrypted_pdf(user_password="secret"), "a.pdf")
    assert caught.value.code == "encrypted"
    assert caught.value.hint == "save it without a password"


def test_encrypted_with_the_empty_password_is_read():
    assert PARAGRAPHS[0] in read(encrypted_pdf(user_password=""), "a.pdf").text


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated(share):
    data = pdf([PARAGRAPHS] * 20)
    with pytest.raises(ExtractionError, match="its end is missing") as caught:
        read(data[: int(share * len(data))], "a.pdf")
    assert caught.value.code == "damaged"
    assert "fetch it again" in caught.value.hint


def test_no_pdf_at_all():
    with pytest.raises(ExtractionError, match="PDF") as caught:
        read(b"\x89PNG\r\n\x1a\n" + bytes(3000), "a.pdf")
    assert caught.value.code == "damaged"


def _with_bad_page(kinds: list[str]) -> bytes:
    """Return a PDF with a page of each kind: ``good``, or ``deep`` (arrays nested too deeply)."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf([PARAGRAPHS] * len(kinds))))
    for page, kind in zip(writer.pages, kinds, strict=True):
        if kind == "deep":
            stream = pypdf.generic.DecodedStreamObject()
            stream.set_data(b"BT " + b"[" * 20_000 + b"]" * 20_000 + b" TJ ET")
            page[pypdf.generic.NameObject("/Contents")] = writer._add_object(stream)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_a_bad_page_does_not_cost_the_others():
    document = read(_with_bad_page(["good", "deep", "good"]), "a.pdf")
    assert [page for _, page, _ in sections(document)] == [1, 3]
    assert document.metadata["unreadable_pages"].startswith("2: ")


def test_a_pdf_of_bad_pages_fails_and_names_the_first():
    with pytest.raises(ExtractionError, match="page 1 of 2") as caught:
        read(_with_bad_page(["deep", "deep"]), "a.pdf")
    assert caught.value.code == "damaged"


def test_memory_errors_name_the_page(monkeypatch):
    def exhaust(self):
        raise MemoryError

    monkeypatch.setattr(pypdf.PageObject, "extract_text", exhaust)
    with pytest.raises(ExtractionError, match="page 1 of 1") as caught:
        load(pdf([["x"]]), source="s", name="a.pdf", media_type="pdf")
    assert caught.value.code == "memory"


def test_progress_is_reported_for_each_page():
    places: list[str] = []
    with supervised(places.append):
        read(pdf([["a"], ["b"]]), "a.pdf")
    assert places == ["the file's structure", "page 1 of 2", "page 2 of 2", "the bookmarks"]
