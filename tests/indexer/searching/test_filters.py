"""Conditions as typed, and what path patterns match."""

from __future__ import annotations

from datetime import datetime

import pytest

from indexer.errors import InvalidFilterError
from indexer.searching.filters import Where


def local(*date: int) -> float:
    return datetime(*date).timestamp()


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], Where()),
        (["type=pdf"], Where(media_types=("pdf",))),
        (["type=PDF, markdown", "type=pdf"], Where(media_types=("pdf", "markdown"))),
        (["path=*/peps/*"], Where(path_glob="*/peps/*")),
        (["path=a=b, c"], Where(path_glob="a=b, c")),
        ([" After = 2024-01-31"], Where(modified_after=local(2024, 1, 31))),
        (["before=2024-01-31T18:30"], Where(modified_before=local(2024, 1, 31, 18, 30))),
        (["before=2024-01-31T18:30+00:00"], Where(modified_before=1706725800.0)),
        (["document=AB,cd"], Where(document_ids=("ab", "cd"))),
        (
            ["type=pdf", "path=x", "after=2023-01-01", "before=2024-01-01"],
            Where("x", ("pdf",), local(2023, 1, 1), local(2024, 1, 1)),
        ),
    ],
)
def test_conditions_are_read(conditions: list[str], expected: Where) -> None:
    assert Where.parse(conditions) == expected


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (["pdf"], "'pdf' is no condition; write key=value with one of type, path"),
        (["size=3"], "'size=3' is no condition"),
        (["type="], "no value after the equals sign"),
        (["path= "], "no value after the equals sign"),
        (["type=pdf,,text"], "empty place"),
        (["type=pfd"], "no type 'pfd'; known: .*pdf.*markdown"),
        (["after=yesterday"], "after=yesterday is no date; write it as 2024-01-31"),
        (["before=2024-13-01"], "before=2024-13-01 is no date"),
        (["path=a", "path=b"], "path is given twice: a, b"),
        (["after=2024-01-01", "AFTER=2024-01-02"], "after is given twice"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_right_form(conditions, words: str) -> None:
    with pytest.raises(InvalidFilterError, match=words):
        Where.parse(conditions)


def test_a_filter_without_conditions_is_none() -> None:
    assert not Where()
    assert not Where.parse([])
    assert Where(modified_after=0.0)
    assert Where(document_ids=("x",))


@pytest.mark.parametrize(
    ("pattern", "source", "expected"),
    [
        ("*.md", "/a/b.md", True),
        ("*.md", "/a/b.MD", False),
        ("/a/*", "/a/b/c/d.md", True),
        ("/a/?.md", "/a/b.md", True),
        ("/a/[bc].md", "/a/c.md", True),
        ("/a/[!bc].md", "/a/c.md", False),
        ("*new\nline*", "/a/new\nline.md", True),
        ("b.md", "/a/b.md", True),
        ("a", "/a/b.md", True),
        ("/a/", "/a/b.md", True),
        ("a/b.md", "/x/a/b.md", True),
        ("a/b", "/a/b.md", False),
        ("b", "/a/b.md", False),
        ("/", "/a/b.md", True),
        ("a.b", "/axb/c", False),
        ("copy [1].md", "/home/me/copy [1].md", True),
        ("/home/me/copy [1].md", "/home/me/copy [1].md", True),
        ("copy [1].md", "/home/me/copy 1.md", False),
        ("*/copy [1].md", "/home/me/copy 1.md", True),
        ("what?", "/home/me/what?/a.md", True),
    ],
)
def test_patterns_match_whole_paths_and_names_whole_components(pattern, source, expected) -> None:
    assert Where(path_glob=pattern).matches_path(source) is expected


def test_a_pattern_made_to_take_long_does_not() -> None:
    assert not Where(path_glob="*a" * 40 + "b").matches_path("a" * 5000)
