from __future__ import annotations

from app.reading.previews import preview_html
from indexer.preview import Box, Listing, Markup, PagePicture, Piece, Table, TableRow

NASTY = '"><img src=x onerror=alert(1)>'
QUOTED = "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"


def test_a_page_has_its_boxes_and_words_for_those_who_do_not_see_it() -> None:
    boxes = (Box(0.1, 0.2, 0.3, 0.04), Box(0.1, 0.25, 0.2, 0.04))
    page = PagePicture(2, 5, b"\x89PNG", "image/png", 1400, 2000, boxes, (Box(0, 0, 1, 1),))
    html = preview_html(page, title=NASTY, passage="passage " * 100)
    assert f'alt="Page 2 of 5 of {QUOTED}. Marked on it: passage' in html
    assert "passage…" in html or "…" in html
    assert html.count('id="gs-found"') == 1
    assert 'style="left:10.000%;top:20.000%;width:30.000%;height:4.000%"' in html
    assert html.count("gs-box-mark") == 1
    assert "data:image/png;base64,iVBORw==" in html


def test_a_table_is_escaped_and_its_found_rows_are_marked() -> None:
    rows = (TableRow(3, (NASTY, "b"), False), TableRow(4, ("c",), True), TableRow(5, ("d",), True))
    table = Table(NASTY, (NASTY, "y"), rows, True, True, 2)
    html = preview_html(table, title="t", passage="")
    assert NASTY not in html
    assert html.count(QUOTED) == 4
    assert html.count('id="gs-found"') == 1
    assert html.index('id="gs-found"') < html.index(">4<") < html.index(">5<")
    assert html.count('class="gs-in-line"') == 2
    assert "2 further columns" in html


def test_code_is_escaped_numbered_and_coloured() -> None:
    lines = (
        (Piece("def", "keyword", False), Piece(" f", "", False)),
        (Piece(NASTY, "string", True),),
        (),
    )
    html = preview_html(Listing(NASTY, 41, lines, (42, 42), True, True), title="t", passage="")
    assert NASTY not in html
    assert '<span class="gs-code-keyword">def</span>' in html
    assert f"<mark>{QUOTED}</mark>" in html
    assert html.index('id="gs-found"') < html.index(">42<")
    assert ">43<" in html


def test_markup_is_put_in_a_frame_of_its_own() -> None:
    html = preview_html(Markup("<p>x</p>", True, True, False), title="t", passage="")
    assert html == '<div class="gs-markup"><p>x</p></div>'
