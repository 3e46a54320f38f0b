from __future__ import annotations

import pytest

from indexer.errors import UsageError
from indexer.searching.query_words import QueryWords, parse_query


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stone bridge", QueryWords("stone bridge")),
        ('"stone bridge" rope', QueryWords("stone bridge rope", ("stone bridge",))),
        ("bridge -rope", QueryWords("bridge", (), ("rope",))),
        ('bridge -"rope ladder" -steel', QueryWords("bridge", (), ("rope ladder", "steel"))),
        ("\u201cstone bridge\u201d", QueryWords("stone bridge", ("stone bridge",))),
        ("\u201estone bridge\u201c", QueryWords("stone bridge", ("stone bridge",))),
        ("bridge -\u201crope ladder\u201d", QueryWords("bridge", (), ("rope ladder",))),
        ('"a b" "a b" c', QueryWords("a b a b c", ("a b",))),
        # What only looks like it.
        ("--no-verify", QueryWords("--no-verify")),
        ("--no-verify -x", QueryWords("--no-verify", (), ("x",))),
        ("a well-known bridge", QueryWords("a well-known bridge")),
        ("bridge - rope", QueryWords("bridge - rope")),
        ("colder than -5 degrees", QueryWords("colder than -5 degrees")),
        ('a 12" pipe', QueryWords('a 12" pipe')),
        ('bridge "" rope', QueryWords('bridge "" rope')),
        ('bridge "!?" rope', QueryWords('bridge "!?" rope')),
    ],
)
def test_queries_are_taken_apart(text: str, words: QueryWords) -> None:
    assert parse_query(text) == words


@pytest.mark.parametrize("text", ["-rope", ' -"rope ladder" -steel '])
def test_a_query_that_only_leaves_out_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="only says what to leave out; say what to look for"):
        parse_query(text)
