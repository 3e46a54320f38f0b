"""Finds a passage again in another rendering of the same document.

Two renderings differ in what stands between the words: white space, hyphens at line ends, bullets,
the bars of a table, ligatures. So only letters and digits are compared. Knows no formats.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Alignment", "align"]

_PROBE_CHARS = 16  # long enough that chance hits are rare, short enough to fit between differences
_MIN_PROBE_CHARS = 6
_MAX_HITS = 200  # of one probe: more says that it is boilerplate
_MIN_COVERED = 0.5  # share of the passage that has to be found

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Squeezed:
    """The letters and digits of a text, and where each stands in it."""

    chars: str
    places: Sequence[int]


class _Folding(dict[str, str]):
    """What remains of each character: its letters and digits, without case and accents."""

    def __missing__(self, char: str) -> str:
        parts = unicodedata.normalize("NFKD", char.casefold())
        folded = self[char] = "".join(part for part in parts if part.isalnum())
        return folded


_FOLDED = _Folding()


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the parts of a passage stand in a text.

    Args:
        passage: of which it is.
        text: in which it was looked for.
        blocks: ``(in passage, in text, length)`` in squeezed characters, ascending.
    """

    passage: _Squeezed
    text: _Squeezed
    blocks: tuple[tuple[int, int, int], ...]

    @property
    def span(self) -> Span:
        """The stretch of the text from the passage's first to its last character found."""
        first, last = self.blocks[0], self.blocks[-1]
        return self.text.places[first[1]], self.text.places[last[1] + last[2] - 1] + 1

    def project(self, span: Span) -> Iterator[Span]:
        """Yield the stretches of the text that stand for a stretch of the passage."""
        start = bisect_left(self.passage.places, span[0])
        end = bisect_left(self.passage.places, span[1])
        for here, there, length in self.blocks:
            first, last = max(start, here), min(end, here + length) - 1
            if first <= last:
                places = self.text.places
                yield places[first - here + there], places[last - here + there] + 1


def align(passage: str, text: str, *, place: float = 0.0) -> Alignment | None:
    """Find a passage in a text.

    Args:
        passage: as it was extracted.
        text: another rendering of the document or a part of it.
        place: where it is expected, from 0 (at the beginning) to 1: decides between repetitions.

    Returns:
        Where it is; None when less than half of it is there, or nothing of it is a letter or digit.
    """
    wanted, there = _squeeze(passage), _squeeze(text)
    if not wanted.chars or not there.chars:
        return None
    expected = round(place * len(there.chars))
    whole = min(
        _occurrences(there.chars, wanted.chars), key=lambda at: abs(at - expected), default=None
    )
    if whole is not None:
        return Alignment(wanted, there, ((0, whole, len(wanted.chars)),))
    blocks = tuple(_matching_blocks(wanted.chars, there.chars, expected))
    covered = sum(length for _, _, length in blocks)
    if covered < _MIN_COVERED * len(wanted.chars):
        return None
    return Alignment(wanted, there, blocks)


def _squeeze(text: str) -> _Squeezed:
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        folded = _FOLDED[char]
        if folded:
            chars.append(folded)
            places.extend([place] * len(folded))
    return _Squeezed("".join(chars), places)


def _occurrences(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    for _ in range(_MAX_HITS):
        if at < 0:
            return
        yield at
        at = text.find(part, at + 1)


def _matching_blocks(passage: str, text: str, expected: int) -> Iterator[tuple[int, int, int]]:
    """Yield stretches that both have, in the same order in both."""
    hits = _hits(passage, text)
    if not hits:
        return
    here = there = 0  # up to where both are accounted for
    for probe, at in _densest(hits, len(passage), expected):
        if probe < here or at < there:
            continue
        start, begin = probe, at
        while start > here and begin > there and passage[start - 1] == text[begin - 1]:
            start, begin = start - 1, begin - 1
        end, stop = probe, at
        while end < len(passage) and stop < len(text) and passage[end] == text[stop]:
            end, stop = end + 1, stop + 1
        yield start, begin, end - start
        here, there = end, stop


def _hits(passage: str, text: str) -> list[tuple[int, int]]:
    """Return where pieces of the passage occur, as ``(in passage, in text)``."""
    size = max(_MIN_PROBE_CHARS, min(_PROBE_CHARS, len(passage) // 4))
    last = max(0, len(passage) - size)
    return [
        (start, at)
        for start in (*range(0, last, max(1, size // 4)), last)
        for at in _occurrences(text, passage[start : start + size])
    ]


def _densest(hits: list[tuple[int, int]], length: int, expected: int) -> list[tuple[int, int]]:
    """Return the hits of the one place where most of them are, in the passage's order."""
    ordered = sorted(hits, key=lambda hit: hit[1] - hit[0])
    offsets = [at - probe for probe, at in ordered]
    slack = max(64, length // 3)  # what may stand between, and what may be missing

    def quality(first: int) -> tuple[int, int]:
        inside = ordered[first : bisect_right(offsets, offsets[first] + slack)]
        return len({probe for probe, _ in inside}), -abs(offsets[first] - expected)

    best = max(range(len(ordered)), key=quality)
    return sorted(ordered[best : bisect_right(offsets, offsets[best] + slack)])
