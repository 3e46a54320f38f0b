"""Telling soft tokens that can be read from those that cannot."""

from __future__ import annotations

from indexer.searching.soft_words import content_words, readability, share_in


def test_words_are_letters_of_any_script_in_lower_case() -> None:
    assert content_words("The Tür is 42 m wide; x-ray no_name") == {
        "the", "tür", "wide", "ray", "name",
    }  # fmt: skip
    assert share_in([" Pump", "##ing", "water", ""], {"pump", "water"}) == 0.5
    assert share_in([], {"pump"}) == 0.0


def test_words_of_the_text_are_readable() -> None:
    nearest = [["pump", "water", "flow", "river"], ["pumps", "water", "well", "tank"]]
    measured = readability(nearest, "how a water pump works")
    assert measured is not None
    assert measured.said == 3 / 8
    assert measured.chance < 0.05
    assert measured.tokens == 2
    assert measured.is_readable


def test_words_that_any_text_has_are_not() -> None:
    nearest = [["the", "and", "for", "with"]] * 3
    measured = readability(nearest, "the pump and the river")
    assert measured is not None
    assert measured.said == 0.0
    assert not measured.is_readable


def test_strange_words_are_not() -> None:
    measured = readability([["##q", "é", "zx"]], "how a water pump works")
    assert measured is not None
    assert (measured.said, measured.is_readable) == (0.0, False)


def test_without_soft_tokens_there_is_nothing_to_measure() -> None:
    assert readability([], "how a water pump works") is None
