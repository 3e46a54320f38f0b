"""The few lines of a passage that are shown, and where its highlights go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.searching.excerpt import excerpt


def marked(text, spans):
    return [text[start:end] for start, end in spans]


def test_a_short_passage_is_shown_whole_on_one_line():
    text = "Mix flour\n\nwith  water."

    shown, spans = excerpt(text, [(4, 9), (17, 22)], limit=100)

    assert shown == "Mix flour with water."
    assert marked(shown, spans) == ["flour", "water"]


def test_a_long_passage_is_cut_around_its_highlights():
    text = "begin " * 100 + "the passport office renews a passport here " + "end " * 100
    spans = [(text.index("passport"), text.index("passport") + 8)]
    spans.append((text.rindex("passport"), text.rindex("passport") + 8))

    shown, moved = excerpt(text, spans, limit=200)

    assert marked(shown, moved) == ["passport", "passport"]
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert len(shown) < 210


def test_a_passage_without_highlights_is_shown_from_its_start():
    shown, spans = excerpt("word " * 100, [], limit=50)

    assert shown == "word " * 9 + "word …"
    assert spans == []


@given(
    words=st.lists(st.text("abcé界 \n", min_size=1, max_size=12), max_size=80),
    picks=st.lists(st.integers(0, 79), max_size=5),
    limit=st.integers(20, 200),
)
def test_whatever_is_highlighted_is_highlighted_still(words, picks, limit):
    text, spans = "", []
    for number, word in enumerate(words):
        text += " "
        if number in picks and word.strip() == word and not any(c.isspace() for c in word):
            spans.append((len(text), len(text) + len(word)))
        text += word

    shown, moved = excerpt(text, spans, limit=limit)

    originals = marked(text, spans)
    assert all(part in originals for part in marked(shown, moved))
    if len(text) <= limit:
        assert len(moved) == len(spans)
    assert "\n" not in shown
