"""Which words of a passage made it match a query.

Knows no stores: words are compared by their stems as lexical search compares them, text written
without spaces by its pairs of characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from indexer.searching.stemming import word_spans
from indexer.searching.words import Terms, blank_spaceless, terms

__all__ = ["highlights", "highlights_of"]


def highlights(query_text: str, passage: str) -> list[tuple[int, int]]:
    """Return the spans [start, end) of a passage, in characters, that match words of a query.

    Spans are in order and apart from each other. Stop words match only where the query has nothing
    else.
    """
    return highlights_of(query_text, [passage])[0]


def highlights_of(query_text: str, passages: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return ``highlights`` of several passages at once, which is faster than one by one."""
    asked = terms(query_text)
    by_words = word_spans([blank_spaceless(passage) for passage in passages], list(asked.words))
    return [
        _merged([*spans, *_piece_spans(asked, passage)])
        for spans, passage in zip(by_words, passages, strict=True)
    ]


def _piece_spans(asked: Terms, passage: str) -> Iterator[tuple[int, int]]:
    for piece in asked.pieces:
        start = passage.find(piece)
        while start >= 0:
            yield start, start + len(piece)
            start = passage.find(piece, start + 1)


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
