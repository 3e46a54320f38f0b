from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.preview.alignment import align

TEXT = (
    "The tap drips at night. It is the washer, as a rule, and a washer costs next to nothing.\n\n"
    "Close the valve. Undo the screw. Take the old washer out and put a new one in its place."
)


def found(passage: str, text: str, *, place: float = 0.0) -> str | None:
    alignment = align(passage, text, place=place)
    return None if alignment is None else text[slice(*alignment.span)]


def test_what_stands_between_the_words_does_not_matter() -> None:
    passage = "- Close the valve. | Undo the screw."
    assert found(passage, TEXT) == "Close the valve. Undo the screw"


def test_divided_words_ligatures_accents_and_case_do_not_matter() -> None:
    printed = "First ex-\nam\xadples of the DE\u0301JA\u0300 vu e\ufb00ect."
    assert found("examples of the déjà vu effect", printed) == printed[6:-1]


def test_of_repetitions_the_one_at_the_expected_place_is_taken() -> None:
    text = "same words again. " * 50
    for place in (0.0, 0.5, 0.9):
        alignment = align("same words again", text, place=place)
        assert alignment is not None
        assert abs(alignment.span[0] - place * len(text)) <= 18


def test_insertions_and_omissions_are_bridged() -> None:
    printed = TEXT.replace("as a rule, ", "1. (see page 12) ").replace("Undo the screw. ", "")
    assert found(TEXT, printed) == printed.rstrip(".")


def test_a_short_end_after_a_difference_is_found_too() -> None:
    printed = TEXT.replace("put a new", "[footnote] put a brand new")
    alignment = align(TEXT, printed)
    assert alignment is not None
    assert printed[: alignment.span[1]].endswith("in its place")


def test_highlights_are_projected_and_what_is_not_there_is_left_out() -> None:
    printed = TEXT.replace("screw", "bolt")
    alignment = align(TEXT, printed)
    assert alignment is not None

    def projected(word: str) -> str:
        start = TEXT.index(word)
        spans = alignment.project((start, start + len(word)))
        return "".join(printed[slice(*span)] for span in spans)

    assert projected("washer") == "washer"
    assert projected("screw") == ""


def test_what_is_not_there_is_not_found() -> None:
    assert align("An entirely different sentence about penguins and icebergs.", TEXT) is None
    assert align("Close the valve and then have a rest until the plumber comes", TEXT) is None
    assert align("***", TEXT) is None
    assert align("washer", "") is None


@given(st.text(), st.text(min_size=1), st.text())
def test_a_stretch_of_a_text_is_found_in_it(before: str, passage: str, after: str) -> None:
    text = before + passage + after
    alignment = align(passage, text, place=len(before) / len(text))
    if alignment is not None:
        start, end = alignment.span
        assert 0 <= start < end <= len(text)
        parts = [text[a:b] for a, b in alignment.project((0, len(passage)))]
        assert parts
    else:
        assert not any(char.isalnum() for char in passage)
