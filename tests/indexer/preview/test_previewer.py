"""Previews of real and hostile files, made by the child processes as they run in the app."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pypdf
import pytest
from reportlab.lib.pagesizes import A4

from indexer.errors import ExtractionError, UsageError
from indexer.extraction.protocol import ProtocolError
from indexer.loaders import load
from indexer.preview import (
    Listing,
    Markup,
    PagePicture,
    Preview,
    Previewer,
    PreviewLimits,
    PreviewRequest,
    Table,
)
from indexer.preview.protocol import decode_preview
from tests.indexer.preview.pdf_making import billion_forms, pdf

MIB = 1 << 20


@pytest.fixture(scope="module")
def previewer() -> Iterator[Previewer]:
    made = Previewer(PreviewLimits(timeout_s=60))
    yield made
    made.close()


@pytest.fixture
def show(previewer: Previewer, tmp_path: Path) -> Callable[..., Preview]:
    def show_one(name: str, data: bytes, media_type: str, passage: str = "", **more: object):
        path = tmp_path / name
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return previewer.preview(PreviewRequest(path, digest, media_type, passage, **more))

    return show_one


PAGES = ("The first page is about apples.", "The second page is about pears and figs.", "The end.")


def test_the_passage_is_boxed_on_its_page(show: Callable[..., PagePicture]) -> None:
    made = show("a.pdf", pdf(*PAGES), "pdf", PAGES[1], page=2, highlights=((25, 30),))
    assert (made.page, made.pages, made.has_passage) == (2, 3, True)
    assert made.picture.startswith(b"\x89PNG")
    assert made.width == pytest.approx(1400, abs=2)
    (line,) = made.passage
    assert line.left == pytest.approx(72 / A4[0], abs=0.01)
    assert line.top == pytest.approx(74 / A4[1], abs=0.01)
    assert 0.3 < line.width < 0.5
    (mark,) = made.highlights
    assert line.left < mark.left < mark.left + mark.width < line.left + line.width


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_boxes_follow_a_turned_page(show: Callable[..., PagePicture], rotation: int) -> None:
    writer = pypdf.PdfWriter(io.BytesIO(pdf(PAGES[0])))
    writer.pages[0].rotate(rotation)
    buffer = io.BytesIO()
    writer.write(buffer)
    made = show(f"{rotation}.pdf", buffer.getvalue(), "pdf", PAGES[0])
    (line,) = made.passage
    middle = line.left + line.width / 2, line.top + line.height / 2
    is_upright = rotation in {90, 270}
    assert (line.height > line.width) == is_upright
    assert {
        90: middle[0] > 0.8,
        180: middle[1] > 0.8,
        270: middle[0] < 0.2,
    }[rotation]


def test_a_page_without_the_passage_is_shown_unmarked(show: Callable[..., PagePicture]) -> None:
    made = show("a.pdf", pdf(*PAGES), "pdf", "Nothing of this stands anywhere in it.", page=1)
    assert not made.has_passage
    assert made.picture


def test_what_was_extracted_is_found_again(show: Callable[..., PagePicture]) -> None:
    sample = Path(__file__).parents[3] / "data/sample/documents/kitchen/storing-food-safely.pdf"
    data = sample.read_bytes()
    document = load(data, source=str(sample), name=sample.name, media_type="pdf")
    for section in document.sections:
        passage = document.text[section.start : section.end][:600]
        assert show(sample.name, data, "pdf", passage, page=section.page).has_passage


def refused(show: Callable[..., Preview], *arguments: object, **more: object) -> ExtractionError:
    with pytest.raises(ExtractionError) as caught:
        show(*arguments, **more)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-1.7", pdf(*PAGES)[:700], b"%PDF-1.7\n" + bytes(range(256)) * 50]
)
def test_a_broken_pdf_is_said_to_be_one(show: Callable[..., Preview], data: bytes) -> None:
    assert refused(show, "broken.pdf", data, "pdf").code == "damaged"


def test_an_encrypted_pdf_asks_for_one_without_a_password(show: Callable[..., Preview]) -> None:
    writer = pypdf.PdfWriter(io.BytesIO(pdf("secret")))
    writer.encrypt("password")
    buffer = io.BytesIO()
    writer.write(buffer)
    assert refused(show, "locked.pdf", buffer.getvalue(), "pdf").code == "encrypted"


def test_a_page_that_is_not_there_is_said_to_be_missing(show: Callable[..., Preview]) -> None:
    assert refused(show, "a.pdf", pdf("one"), "pdf", page=7).code == "missing"


def test_a_page_as_large_as_a_field_is_drawn_small(show: Callable[..., PagePicture]) -> None:
    made = show("large.pdf", pdf("x", size=(14_000, 14_000)), "pdf")
    assert made.width * made.height <= 6_100_000
    narrow = show("narrow.pdf", pdf("x", size=(20, 14_000)), "pdf")
    assert 0 < narrow.width * narrow.height <= 6_100_000


def test_a_page_that_takes_forever_is_given_up_and_the_next_is_shown(tmp_path: Path) -> None:
    bomb, good = tmp_path / "bomb.pdf", tmp_path / "good.pdf"
    bomb.write_bytes(billion_forms())
    good.write_bytes(pdf(*PAGES))
    previewer = Previewer(PreviewLimits(timeout_s=3), processes=1)
    try:
        begun = time.monotonic()
        with pytest.raises(ExtractionError) as caught:
            previewer.preview(request_of(bomb))
        assert caught.value.code in {"timeout", "crashed", "memory"}
        assert time.monotonic() - begun < 40
        assert previewer.preview(request_of(good)).page == 1
    finally:
        previewer.close()


def request_of(path: Path, media_type: str = "pdf", **more: object) -> PreviewRequest:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PreviewRequest(path, digest, media_type, **more)


def test_a_file_that_needs_too_much_memory_costs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes(b"a,b,c,d\n" + b"1,2,3,4\n" * 4_000_000)
    small = tmp_path / "small.csv"
    small.write_bytes(b"name,age\nAda,36\nBob,41\n")
    previewer = Previewer(PreviewLimits(timeout_s=60, memory_bytes=512 * MIB), processes=1)
    try:
        with pytest.raises(ExtractionError) as caught:
            previewer.preview(request_of(path, "csv"))
        assert caught.value.code == "memory"
        assert previewer.preview(request_of(small, "csv", after=5)).rows
    finally:
        previewer.close()


def test_a_changed_and_a_missing_file_are_not_shown(previewer: Previewer, tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("One thing.")
    request = request_of(path, "markdown")
    path.write_text("Another thing.")
    with pytest.raises(ExtractionError, match="changed since"):
        previewer.preview(request)
    path.unlink()
    with pytest.raises(ExtractionError, match="no such file"):
        previewer.preview(request)


HOSTILE_MARKDOWN = """\
---
title: Marsupials
description: What the front matter says.
---
# Marsupials

A quokka <b>smiles</b> <script>alert(1)</script>while the tide <img src="https://evil.example/t.png"
onerror="alert(2)" alt="a beach"> comes in.

[a](javascript:alert(3)) [b](https://example.org/) ![pixel](https://evil.example/p.png)

| animal | legs |
|---|---|
| quokka | four |
"""


def test_markdown_is_formatted_marked_and_harmless(show: Callable[..., Markup]) -> None:
    passage = "A quokka smiles while the tide comes in."
    made = show(
        "a.md",
        HOSTILE_MARKDOWN.encode(),
        "markdown",
        passage,
        highlights=((2, 8),),
        before=999,
        after=999,
    )
    assert made.has_passage
    assert (made.is_start, made.is_end) == (True, True)
    assert '<span id="gs-found" class="gs-in">A <mark>quokka</mark> </span>' in made.html.replace(
        'class="gs-in" id="gs-found"', 'id="gs-found" class="gs-in"'
    )
    assert "<h1>Marsupials</h1>" in made.html
    assert "<td>quokka</td>" in made.html
    assert "What the front matter says." in made.html
    assert "a beach" in made.html
    for forbidden in ("<script", "alert(1)", "<img", "evil.example", 'href="javascript'):
        assert forbidden not in made.html


def test_of_a_long_page_the_part_around_the_passage_is_shown(show: Callable[..., Markup]) -> None:
    items = "".join(f"<li>This is item number {n} of the list.</li>\n" for n in range(1, 1001))
    page = f"<html><head><title>T</title></head><body><p>Top</p><ol>{items}</ol></body></html>"
    made = show(
        "a.html",
        page.encode(),
        "html",
        "This is item number 700 of the list.",
        place=0.7,
        before=100,
        after=100,
    )
    assert made.has_passage
    assert (made.is_start, made.is_end) == (False, False)
    assert "number 700" in made.html
    assert "number 600 " not in made.html
    assert "Top" not in made.html
    assert len(made.html) < 2000
    first = int(made.html.split('start="')[1].split('"')[0])
    assert f"<li>This is item number {first} of" in made.html  # so the browser counts as before


def test_hidden_text_and_what_wraps_a_page_is_not_shown(show: Callable[..., Markup]) -> None:
    page = (
        "<body><nav>menu</nav><p style='display:none'>hidden</p>tail of it<p>Words of the page</p>"
        "<form><input value=x><button>send</button></form></body>"
    )
    made = show("a.html", page.encode(), "html", after=999)
    assert "Words of the page" in made.html
    assert "tail of it" in made.html
    for gone in ("menu", "hidden", "send"):
        assert gone not in made.html


def test_empty_pages_are_empty(show: Callable[..., Markup]) -> None:
    made = show("empty.html", b"", "html", "passage")
    assert made.html.replace("<div></div>", "") == ""
    assert not made.has_passage


def test_pages_nested_deeply_end_well(show: Callable[..., Markup]) -> None:
    deep = b"<div>" * 100 + b"bottom of it" + b"</div>" * 100
    assert "bottom" in show("deep.html", deep, "html", "bottom of it", after=99).html
    deepest = b"<div>" * 50_000 + b"bottom of it" + b"</div>" * 50_000
    assert refused(show, "deepest.html", deepest, "html", "bottom of it", after=99)


def test_code_has_its_language_lines_and_colours(show: Callable[..., Listing]) -> None:
    source = "\n".join(f"def function_{n}():\n    return {n}  # note\n" for n in range(300))
    made = show(
        "a.py",
        source.encode(),
        "code",
        "def function_200():\n    return 200  # note",
        place=0.66,
        highlights=((4, 16),),
        before=3,
        after=2,
    )
    assert made.language == "Python"
    assert made.passage == (601, 602)
    assert made.first_line == 598
    text = "\n".join("".join(piece.text for piece in line) for line in made.lines)
    assert text in source
    assert (made.is_start, made.is_end) == (False, False)
    line = made.lines[made.passage[0] - made.first_line]
    assert ("def", "keyword") in {(piece.text, piece.kind) for piece in line}
    assert [piece.text for piece in line if piece.is_highlighted] == ["function_200"]
    assert "comment" in {piece.kind for line in made.lines for piece in line}


def test_code_of_no_known_language_and_one_endless_line(show: Callable[..., Listing]) -> None:
    made = show("a.zzz", b"<script>alert(1)</script>\nsecond line", "code", "second line")
    assert made.passage == (2, 2)
    endless = b"var a=1;" * 100_000
    assert refused(show, "a.min.js", endless, "code", "var a=1;").code == "too_long"


def test_rows_of_a_table_are_found(show: Callable[..., Table]) -> None:
    rows = "".join(f"thing {n};shop {n % 7};{n * 1.5:.2f}\n" for n in range(500))
    data = ("item;shop;price\n" + rows).encode()
    document = load(data, source="/p.csv", name="p.csv", media_type="csv")
    start = document.text.index("item: thing 300;")
    passage = document.text[start : document.text.index("item: thing 303;")].strip()
    made = show("p.csv", data, "csv", passage, place=start / len(document.text), before=2, after=2)
    assert made.header == ("item", "shop", "price")
    assert [row.cells[0] for row in made.rows if row.is_found] == [
        "thing 300",
        "thing 301",
        "thing 302",
    ]
    assert [row.number for row in made.rows] == list(range(300, 307))
    assert (made.is_start, made.is_end) == (False, False)


def test_the_right_sheet_of_a_workbook_is_shown(show: Callable[..., Table]) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Month", "Sum", "Note"])
    book.active.append(["May", 3, "rent"])
    staff = book.create_sheet("Staff")
    staff.append(["Name", "Role", "Since"])
    staff.append(["Ada", "<script>alert(1)</script>", 2020])
    staff.append(["Bob", "cook", 2021])
    buffer = io.BytesIO()
    book.save(buffer)
    passage = "Name: Bob; Role: cook; Since: 2021"
    made = show("b.xlsx", buffer.getvalue(), "xlsx", passage, place=0.9, before=9, after=9)
    assert made.name == "Staff"
    assert [(row.cells, row.is_found) for row in made.rows] == [
        (("Ada", "<script>alert(1)</script>", "2020"), False),
        (("Bob", "cook", "2021"), True),
    ]


def test_wide_tables_and_long_cells_are_cut(show: Callable[..., Table]) -> None:
    data = (",".join(f"c{n}" for n in range(100)) + "\n" + ",".join(["x" * 2000] * 100)).encode()
    made = show("wide.csv", data, "csv", after=9)
    assert made.hidden_columns == 60
    assert max(len(cell) for row in made.rows for cell in row.cells) == 501


def test_what_was_shown_is_kept(previewer: Previewer, tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("Some words of a page.")
    request = request_of(path, "markdown", after=99)
    assert previewer.preview(request) is previewer.preview(request)


def test_many_threads_at_once(previewer: Previewer, tmp_path: Path) -> None:
    path = tmp_path / "many.pdf"
    path.write_bytes(pdf(*(f"This is page {n}" for n in range(1, 13))))
    pages: list[int] = []

    def show_page(number: int) -> None:
        made = previewer.preview(request_of(path, page=number, passage=f"This is page {number}"))
        if made.has_passage:
            pages.append(made.page)

    threads = [threading.Thread(target=show_page, args=(n,)) for n in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(pages) == list(range(1, 13))


def test_a_closed_previewer_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("x")
    previewer = Previewer()
    previewer.close()
    with pytest.raises(ExtractionError, match="ending"):
        previewer.preview(request_of(path, "markdown"))


@pytest.mark.parametrize(
    ("media_type", "message"),
    [
        ("pdf", {"picture_type": "image/svg+xml"}),
        ("pdf", {"picture_type": "image/png", "picture": "PHN2Zz4="}),
        ("markdown", {"html": 5}),
        ("markdown", {"html": "x", "is_start": "yes", "is_end": True, "has_passage": True}),
        ("code", {"language": "x", "first_line": -1, "lines": [], "passage": None}),
        (
            "code",
            {"language": "", "first_line": 1, "lines": [[["x", 'gs"><script>', True]]]},
        ),
        ("csv", {"name": "", "header": [], "rows": [[1, "ab"]]}),
    ],
)
def test_what_a_child_under_foreign_control_may_send_is_refused(
    media_type: str, message: dict[str, object]
) -> None:
    with pytest.raises(ProtocolError):
        decode_preview(message, media_type)


def test_html_of_a_child_under_foreign_control_is_made_harmless() -> None:
    message = {
        "html": "<p onclick=alert(1)>x<script>alert(2)</script></p>",
        "is_start": True,
        "is_end": True,
        "has_passage": False,
    }
    made = decode_preview(message, "html")
    assert isinstance(made, Markup)
    assert made.html == "<p>x</p>"


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(UsageError):
        PreviewLimits(timeout_s=0)
    with pytest.raises(UsageError):
        PreviewLimits(memory_bytes=MIB)
