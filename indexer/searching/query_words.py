"""What a query says beside plain words: phrases in quotes, and words to leave out.

``"stone bridge" rope -steel`` looks for *stone bridge rope*, in passages that contain the phrase
and not the word *steel*. Knows no stores; how a passage contains a phrase is theirs to tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from indexer.errors import UsageError
from indexer.searching.words import terms

__all__ = ["QueryWords", "parse_query"]

_QUOTED = r'"([^"]*)"|\u201c([^\u201c\u201d]*)\u201d|\u201e([^\u201c\u201d\u201e]*)[\u201c\u201d]'
# A minus counts at the start of a word only, before a letter or a quote: "--no-verify", "-5" and
# "well-known" are what they look like.
_PART = re.compile(rf"(?<!\S)(?P<minus>-)(?:{_QUOTED}|(?P<word>[^\W\d_]\S*))|{_QUOTED}")


@dataclass(frozen=True, slots=True)
class QueryWords:
    """A query taken apart.

    Args:
        text: what to look for, by meaning and by words: the query without quotes and without what
            is to be left out.
        phrases: have to occur, each word after word.
        excluded: words and phrases that must not occur.
    """

    text: str
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def parse_query(text: str) -> QueryWords:
    """Take a query apart; a quote that is not closed is a character like any other.

    Raises:
        UsageError: it only says what to leave out.
    """
    phrases: list[str] = []
    excluded: list[str] = []

    def take(match: re.Match[str]) -> str:
        said = next((part for part in match.groups()[1:] if part), "").strip()
        if match["minus"]:
            if terms(said):
                excluded.append(said)
            return " "
        if terms(said):
            phrases.append(said)
        return f" {said} " if said else " "

    rest = " ".join(_PART.sub(take, text).split())
    if not phrases and not excluded:
        return QueryWords(text.strip())
    if not rest:
        raise UsageError(
            f"the query {text.strip()!r} only says what to leave out; say what to look for as well"
        )
    return QueryWords(rest, tuple(dict.fromkeys(phrases)), tuple(dict.fromkeys(excluded)))
