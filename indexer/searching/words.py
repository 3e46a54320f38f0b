"""What counts as a word of a query or passage, the same for lexical search and highlighting.

Cuts text as the FTS5 tokenizer of ``indexer.storage.schema`` does, and adds what that lacks: pieces
of text written without spaces. Stemming is left to FTS5.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

__all__ = ["Terms", "blank_spaceless", "phrase_parts", "pieces", "terms"]

# Letters of scripts that put no spaces between words (or, as Korean, glue endings to them): Thai,
# Lao, Myanmar, Khmer, Hangul, kana and Han.
_SPACELESS = re.compile(
    "[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u1000-\u1049\u1100-\u11ff\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u318e\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff\uff66-\uffdc"
    "\U00020000-\U0003ffff]+"
)

# English words that say nothing about what is sought. Those of other languages need no list: a word
# in more than half of the chunks is passed over by the search itself.
_STOP_WORD_LIST = """
a about above after again against all also am an and any are aren as at be because been before being
below between both but by can cannot could couldn d did didn do does doesn doing don down during
each few for from further had hadn has hasn have haven having he her here hers herself him himself
his how i if in into is isn it its itself just ll m me more most my myself no nor not now of off on
once only or other our ours ourselves out over own re s same shall she should shouldn so some such t
than that the their theirs them themselves then there these they this those through to too under
until up upon us ve very was wasn we were weren what when where which while who whom whose why will
with won would wouldn you your yours yourself yourselves
"""
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


@dataclass(frozen=True, slots=True)
class Terms:
    """What a query in plain words asks for, and how many times each.

    Args:
        words: words in lower case; without stop words unless there is nothing else.
        pieces: pieces of text written without spaces: pairs of neighbouring characters, or one
            character that stands alone.
    """

    words: Mapping[str, int]
    pieces: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.words or self.pieces)


def terms(text: str) -> Terms:
    """Return the terms of a query; everything that is not a letter or digit only separates."""
    words: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for run in _runs(text.lower()):
        for part, is_spaceless in _parts(run):
            if is_spaceless:
                found.update(_pairs(part))
            else:
                words[part] += 1
    telling = {word: count for word, count in words.items() if word not in _STOP_WORDS}
    return Terms(telling if telling or found else words, found)


def pieces(text: str) -> str:
    """Return what is searchable of a text's runs without spaces, separated by spaces.

    Of each such run: pairs of neighbouring characters, its last character alone (so that every
    single character begins some piece), and words of other scripts inside it. Empty for text of
    which every word stands between spaces or signs.
    """
    if not _SPACELESS.search(text):
        return ""
    kept: list[str] = []
    for run in _runs(text):
        if not _SPACELESS.search(run):
            continue
        for part, is_spaceless in _parts(run):
            if not is_spaceless:
                kept.append(part)
            else:
                kept.extend(_pairs(part))
                if len(part) > 1:
                    kept.append(part[-1])
    return " ".join(kept)


def phrase_parts(text: str) -> list[tuple[bool, list[str]]]:
    """Return what has to stand one after the other for a text to contain a phrase.

    Returns:
        For each stretch whether it is of ``pieces``, and its words or pieces in order. Where
        writing with and without spaces meet, a phrase falls into several stretches.
    """
    found: list[tuple[bool, list[str]]] = []
    for run in _runs(text.lower()):
        is_mixed = _SPACELESS.search(run) is not None
        parts = [
            piece
            for part, is_spaceless in _parts(run)
            for piece in (_pairs(part) if is_spaceless else [part])
        ]
        if not is_mixed and found and not found[-1][0]:
            found[-1][1].extend(parts)
        else:
            found.append((is_mixed, parts))
    return found


def blank_spaceless(text: str) -> str:
    """Return a text of equal length in which only words written between spaces are left."""
    return _SPACELESS.sub(lambda match: " " * len(match.group()), text)


def _runs(text: str) -> Iterator[str]:
    """Yield maximal runs of letters, digits and combining marks."""
    for is_word, characters in groupby(text, _is_word_character):
        if is_word:
            yield "".join(characters)


@lru_cache(maxsize=8192)
def _is_word_character(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category in ("Co", "Mn", "Mc")


def _parts(run: str) -> Iterator[tuple[str, bool]]:
    """Cut a run where writing with and without spaces meet; say of each part which it is."""
    begin = 0
    for match in _SPACELESS.finditer(run):
        if match.start() > begin:
            yield run[begin : match.start()], False
        yield match.group(), True
        begin = match.end()
    if begin < len(run):
        yield run[begin:], False


def _pairs(part: str) -> list[str]:
    if len(part) == 1:
        return [part]
    return [part[position : position + 2] for position in range(len(part) - 1)]
