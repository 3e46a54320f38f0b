"""Training pairs made from passages alone, one function for each kind.

A kind is a way to come by a text that a passage answers, without anybody having asked for it. Pure
functions: no store, no model.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from indexer.adaptation.passages import Passage
from indexer.adaptation.rarity import WordRarity
from indexer.adaptation.sentences import sentence_spans
from indexer.searching.words import terms

__all__ = [
    "Pair",
    "PairKind",
    "cloze_pairs",
    "consecutive_pairs",
    "keyword_pairs",
    "lead_pairs",
    "sentence_pairs",
    "title_pairs",
]

PairKind = Literal["title", "consecutive", "sentence", "cloze", "keywords", "lead", "written"]

_MIN_PASSAGE_WORDS = 5
_MIN_SENTENCE_WORDS, _MAX_SENTENCE_WORDS = 5, 60
_MIN_KEYWORDS, _MAX_KEYWORDS = 2, 5
_MIN_KEYWORD_LETTERS = 3
_MOST_UNDER_A_HEADING = 4
_LARGEST_PART = 0.7


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and the text that answers it.

    Args:
        kind: how it was made.
        query: what is asked.
        positive: the text to train on: the passage, or what is left of it.
        passage: the passage that it was made from.
    """

    kind: PairKind
    query: str
    positive: str
    passage: Passage


def title_pairs(passages: Sequence[Passage]) -> Iterator[Pair]:
    """Yield the heading, or else the title, of passages with the passage's text.

    The text alone, without the heading on its first line: together with its context, half of the
    query would stand in the answer. A heading with many passages below it says little about each
    of them, and is paired with the first alone.
    """
    lengths = Counter((passage.title, passage.heading) for passage in passages)
    begun: set[tuple[str, str]] = set()
    for passage in passages:
        key = (passage.title, passage.heading)
        is_first = key not in begun
        begun.add(key)
        query = passage.heading or passage.title
        text = passage.text.removeprefix(query).lstrip()
        telling = is_first or lengths[key] <= _MOST_UNDER_A_HEADING
        if query and telling and _is_long_enough(text):
            yield Pair("title", _one_line(query), text, passage)


def consecutive_pairs(passages: Sequence[Passage]) -> Iterator[Pair]:
    """Yield each passage with the one that follows it in its document, both without context."""
    for first, second in pairwise(passages):
        if first.document_id == second.document_id and _is_long_enough(second.text):
            yield Pair("consecutive", first.text, second.text, second)


def sentence_pairs(
    passages: Sequence[Passage], *, per_passage: int, seed: int = 0
) -> Iterator[Pair]:
    """Yield sentences of each passage with the whole of it: words that occur there are found.

    A sentence that is most of its passage is left out: a text that asks for itself teaches nothing.
    """
    for passage, (start, end) in _sentences(passages, per_passage, seed):
        if end - start <= _LARGEST_PART * len(passage.text):
            query = _one_line(passage.text[start:end])
            yield Pair("sentence", query, passage.full_text, passage)


def cloze_pairs(passages: Sequence[Passage], *, per_passage: int, seed: int = 0) -> Iterator[Pair]:
    """Yield sentences of each passage with what is left of it without them.

    Source: the inverse cloze task, Lee et al., ACL 2019, arXiv:1906.00300.
    """
    for passage, (start, end) in _sentences(passages, per_passage, seed):
        before, after = passage.text[:start].rstrip(), passage.text[end:].lstrip()
        rest = f"{before} {after}".strip()
        if _is_long_enough(rest):
            context = passage.full_text.removesuffix(passage.text)
            query = _one_line(passage.text[start:end])
            yield Pair("cloze", query, context + rest, passage)


def lead_pairs(passages: Sequence[Passage]) -> Iterator[Pair]:
    """Yield the first sentence of each passage with the rest of it, without context."""
    for passage in passages:
        spans = sentence_spans(passage.text)
        if len(spans) < 2:
            continue
        start, end = spans[0]
        lead, rest = passage.text[start:end], passage.text[spans[1][0] :]
        if _is_sentence(lead) and _is_long_enough(rest):
            yield Pair("lead", _one_line(lead), rest, passage)


def keyword_pairs(
    passages: Sequence[Passage], rarity: WordRarity, *, per_passage: int, seed: int = 0
) -> Iterator[Pair]:
    """Yield a few telling words of each passage, in any order, with the whole of it.

    As a person types who remembers the words but not the sentence. Words of one passage only are
    left out: many are misprints and numbers.
    """
    randomness = random.Random(seed)
    for passage in passages:
        words = [
            word
            for word in terms(passage.text).words
            if len(word) >= _MIN_KEYWORD_LETTERS
            and not word.isdigit()
            and rarity.frequency(word) > 1
        ]
        weights = {word: rarity.weight(word) for word in words}
        for _ in range(per_passage if len(words) >= _MIN_KEYWORDS else 0):
            query = _keywords(weights, randomness)
            yield Pair("keywords", query, passage.full_text, passage)


def _keywords(weights: dict[str, float], randomness: random.Random) -> str:
    """Return some of the words of greatest weight; which ones differs from call to call."""
    count = randomness.randint(_MIN_KEYWORDS, _MAX_KEYWORDS)
    drawn = {word: weight * randomness.uniform(0.5, 1.0) for word, weight in weights.items()}
    chosen = sorted(drawn, key=drawn.__getitem__, reverse=True)[:count]
    randomness.shuffle(chosen)
    return " ".join(chosen)


def _sentences(
    passages: Sequence[Passage], per_passage: int, seed: int
) -> Iterator[tuple[Passage, tuple[int, int]]]:
    randomness = random.Random(seed)
    for passage in passages:
        spans = [
            (start, end)
            for start, end in sentence_spans(passage.text)
            if _is_sentence(passage.text[start:end])
        ]
        for span in randomness.sample(spans, min(per_passage, len(spans))):
            yield passage, span


def _is_sentence(text: str) -> bool:
    return _MIN_SENTENCE_WORDS <= _word_count(text) <= _MAX_SENTENCE_WORDS


def _is_long_enough(text: str) -> bool:
    return _word_count(text) >= _MIN_PASSAGE_WORDS


def _word_count(text: str) -> int:
    """Return the number of words; where hardly any stand apart, pairs of letters count as words."""
    count = len(text.split())
    # looked into only where needed: it is slow
    return count if count >= _MIN_SENTENCE_WORDS else count + sum(terms(text).pieces.values())


def _one_line(text: str) -> str:
    return " ".join(text.split())
