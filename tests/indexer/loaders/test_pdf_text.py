from __future__ import annotations

import pytest

from indexer.loaders.pdf_text import repair_pages

FULL = "the line is as long as the column of the text allows it to be, more or less"


def repair(*lines: str) -> str:
    return repair_pages(["\n".join(lines)])[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("exam-|ple", "example"),
        ("exam\u00ad|ple", "example"),
        ("Schwarz-|Weiß", "Schwarz-Weiß"),
        ("well-known-|to all", "well-known-to all"),
        ("10-|20", "10-\n20"),
    ],
)
def test_words_divided_at_line_ends_are_made_whole(before, after):
    assert repair(FULL, *before.split("|")).endswith(after)


def test_compounds_keep_the_hyphen_that_the_document_gives_them_elsewhere():
    assert "long-term plan" in repair(FULL, "a long-term goal and the long-", "term plan")


def test_two_known_words_are_a_compound():
    assert "data-dependent" in repair(
        FULL, "the data depend on it, dependent as data-", "dependent"
    )
    assert "without" in repair(FULL, "with care, out and without it, and with-", "out it")


def test_a_short_line_ends_its_paragraph():
    assert repair(FULL, "ends here.", FULL, FULL) == f"{FULL} ends here.\n{FULL} {FULL}"


def test_small_letters_continue_a_sentence_in_narrow_columns():
    text = repair(FULL, f"{FULL}.", "Understand", "your rating")
    assert text == f"{FULL} {FULL}.\nUnderstand your rating"


@pytest.mark.parametrize("marker", ["•", "-", "1.", "2)", "(a)", "iv.", "\u2013"])
def test_list_items_stay_on_their_lines(marker):
    assert repair(FULL, f"{marker} item {FULL}") == f"{FULL}\n{marker} item {FULL}"


def test_rows_of_numbers_stay_on_their_lines():
    assert repair("10 20 30 40", "19 27 35 43", "20 28 36 44") == (
        "10 20 30 40\n19 27 35 43\n20 28 36 44"
    )


def test_tables_of_contents():
    assert repair("1 Tides . . . . . . . . 2", "2 Moon .......... 14", "3 Sun") == (
        "1 Tides … 2\n2 Moon … 14\n3 Sun"
    )


def test_ligatures_and_spaces():
    assert repair("the e\ufb03cient \ufb01sher\xa0man  waits") == "the efficient fisher man waits"


def test_chinese_lines_join_without_spaces():
    assert repair("潮汐表列出了全年每一天老港的高潮时间以及", "渔船离港的时间。") == (
        "潮汐表列出了全年每一天老港的高潮时间以及渔船离港的时间。"
    )


def test_running_heads_are_kept_once():
    bodies = [
        [f"{day} {word} {FULL}." for word in "abcdefghi"] for day in ("mon", "tue", "wed", "thu")
    ]
    pages = [
        "\n".join([f"HARBOUR ALMANAC 2026 {number}", *body, str(number)])
        for number, body in enumerate(bodies, start=1)
    ]
    repaired = repair_pages(pages)
    assert repaired[0].startswith("HARBOUR ALMANAC 2026 1\n")
    assert repaired[0].endswith("\n1")
    assert not any("HARBOUR" in page for page in repaired[1:])
    assert all(page.endswith(f"i {FULL}.") for page in repaired[1:])


def test_pages_that_are_all_alike_are_not_running_heads():
    assert repair_pages(["the same line"] * 6) == ["the same line"] * 6


def test_empty_pages():
    assert repair_pages(["", "\n \n", "x"]) == ["", "", "x"]
    assert repair_pages([]) == []
