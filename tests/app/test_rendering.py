from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.rendering import highlighted, markdown_text, plain, visible_line

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "&lt;b&gt;",
    "</p></article><style>*{display:none}</style>",
]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    parser = Tags()
    parser.feed(html)
    parser.close()
    return parser


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(text: str) -> None:
    for html in (plain(text), highlighted(text, [(0, 3), (5, 900)])):
        found = parsed(html)
        assert found.text == text
        assert set(found.tags) <= {"mark"}


@given(st.text(), st.lists(st.tuples(st.integers(-2, 40), st.integers(-2, 40))))
def test_highlighting_never_loses_or_adds_text(text: str, spans: list[tuple[int, int]]) -> None:
    shown = text.translate(dict.fromkeys((*range(9), 11, 12, 13, *range(14, 32)), "�"))
    found = parsed(highlighted(text, sorted(spans)))
    assert found.tags == ["mark"] * len(found.tags)
    if shown.isprintable():
        assert found.text == shown


def test_highlights_are_where_they_belong() -> None:
    assert highlighted("a <b> c", [(2, 5), (6, 7)]) == ("a <mark>&lt;b&gt;</mark> <mark>c</mark>")


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "*a* _b_ `c` [d](http://x) ![e](f) # g",
        "$x$ :smile: :red[x] :material/home:",
        "1. one\n2. two\n- three\n    code\n> quote\n---\n| a | b |",
        "/home/me/__init__.py",
    ],
)
def test_markdown_shows_text_as_it_is(text: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).render(markdown_text(text))
    found = parsed(html)
    assert set(found.tags) <= {"p", "br"}
    lines = [line.strip("\n\u00a0 ") for line in found.text.strip("\n").split("\n")]
    assert lines == [line.strip() for line in text.split("\n")]


def test_what_could_disguise_a_name_becomes_visible() -> None:
    assert plain("a\u202eb\x1b[31m\x07") == "a\ufffdb\ufffd[31m\ufffd"
    assert visible_line("a\nb\u2066") == "a\u2424b\ufffd"
    assert plain("\ud800") == "\ufffd"
