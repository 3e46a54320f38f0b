from __future__ import annotations

import pytest

from indexer.errors import ExtractionError
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.supervision import report, supervised
from tests.indexer.loaders.samples import check, sections


def builder() -> DocumentBuilder:
    return DocumentBuilder(source="/a/b.md", name="b.md", media_type="markdown")


def test_headings_open_sections_with_their_path():
    b = builder()
    for level, text in [(1, "One"), (2, "One A"), (4, "Deep"), (2, "One B"), (1, "Two")]:
        b.heading(text, level=level)
        b.block(f"below {text}")
    document = b.build()
    check(document)
    assert [headings for headings, _, _ in sections(document)] == [
        ("One",),
        ("One", "One A"),
        ("One", "One A", "Deep"),
        ("One", "One B"),
        ("Two",),
    ]
    assert sections(document)[2][2] == "Deep\n\nbelow Deep"


def test_an_only_outermost_heading_at_the_beginning_is_the_title():
    b = builder()
    b.heading("The Harbour", level=1)
    b.block("Text.")
    b.heading("Tides", level=2)
    b.block("More.")
    document = b.build()
    assert document.title == "The Harbour"
    assert [headings for headings, _, _ in sections(document)] == [(), ("Tides",)]


def test_two_outermost_headings_are_no_title():
    b = builder()
    b.heading("Part one", level=1)
    b.heading("Part two", level=1)
    assert b.build().title == "b.md"


def test_a_heading_after_text_is_no_title():
    b = builder()
    b.block("Preface.")
    b.heading("Tides", level=1)
    b.block("Text.")
    document = b.build()
    assert document.title == "b.md"
    assert sections(document)[1][0] == ("Tides",)


@pytest.mark.parametrize("title", ["the  harbour!", "The Harbour | Town Pages"])
def test_a_heading_that_repeats_the_title_is_left_out_of_the_paths(title):
    b = builder()
    b.block("Summary.")
    b.heading("The Harbour", level=1)
    b.heading("Tides", level=2)
    document = b.build(title=title)
    assert document.title == " ".join(title.split())
    assert [headings for headings, _, _ in sections(document)] == [(), (), ("Tides",)]


def test_listings_keep_their_indentation_and_lose_blank_lines_around():
    b = builder()
    b.block("\n\n    indented\n  less  \n\n")
    assert b.build().text == "    indented\n  less"


def test_metadata_is_tidied():
    metadata = {"a": " x\ny ", "empty": " ", "long": "z" * 3000}
    document = builder().build(metadata=metadata | {f"k{i}": "v" for i in range(100)})
    assert document.metadata["a"] == "x y"
    assert "empty" not in document.metadata
    assert len(document.metadata["long"]) == 2000
    assert len(document.metadata) == 64


def test_names_with_line_ends_and_separators_make_one_line_titles():
    b = DocumentBuilder(source="s", name="a\nb\r/../c.md", media_type="markdown")
    assert b.build().title == "a b /../c.md"


def test_text_past_the_bound_is_refused_before_it_piles_up():
    b = builder()
    with supervised(lambda place: None, max_text_chars=10):
        b.block("0123456789")
        with pytest.raises(ExtractionError, match="longer than 10 characters") as caught:
            b.block("0")
    assert caught.value.code == "too_long"


def test_reports_reach_the_supervisor_only_while_supervised():
    places: list[str] = []
    with supervised(places.append):
        report("page 1")
    report("page 2")
    assert places == ["page 1"]
