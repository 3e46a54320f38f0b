"""Cuts passages into sentences, roughly: enough to take one out and leave the rest."""

from __future__ import annotations

import re

__all__ = ["sentence_spans"]

_END = re.compile(
    r"(?<!\b[A-Z]\.)(?<=[.!?\u2026])(?P<closing>[\"'\u201d)\]]*)\s+(?=[^\sa-z])"
    r"|(?<=[\u3002\uff01\uff1f])(?!\s)"
    r"|\n\s*\n\s*"
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the [start, end) of each sentence, without white space around it.

    A blank line ends a sentence, the end of a line alone does not.
    """
    spans = []
    start = 0
    # an unmatched group ends at -1
    cuts = [
        (max(match.start(), match.end("closing")), match.end()) for match in _END.finditer(text)
    ]
    for stop, resume in [*cuts, (len(text), len(text))]:
        piece = text[start:stop]
        begin = start + len(piece) - len(piece.lstrip())
        end = start + len(piece.rstrip())
        if begin < end:
            spans.append((begin, end))
        start = resume
    return spans
