"""How telling each word of a collection is: rarity over its passages, words of one stem as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log

from indexer.searching.stemming import stems
from indexer.searching.words import terms

__all__ = ["WordRarity"]

_WORDS_AT_A_TIME = 20_000


class WordRarity:
    """Rarity of words, as BM25 weighs them.

    Args:
        texts: every passage's.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._total = len(texts)
        words_of = [list(terms(text).words) for text in texts]
        self._stems = _stems_of(word for words in words_of for word in words)
        self._frequencies: Counter[str] = Counter()
        for words in words_of:
            self._frequencies.update({self._stems[word] for word in words})

    def frequency(self, word: str) -> int:
        """Return in how many passages a word, in lower case, or another of its stem occurs."""
        return self._frequencies[self._stems.get(word, "")]

    def weight(self, word: str) -> float:
        """Return the word's inverse document frequency, at least 0."""
        found = self.frequency(word)
        return max(0.0, log((self._total - found + 0.5) / (found + 0.5)))


def _stems_of(words: Iterable[str]) -> dict[str, str]:
    different = list(dict.fromkeys(words))
    found: dict[str, str] = {}
    for begin in range(0, len(different), _WORDS_AT_A_TIME):
        part = different[begin : begin + _WORDS_AT_A_TIME]
        found.update(zip(part, stems(part), strict=True))
    return found
