"""Makes the text of PDF pages readable: a PDF knows where lines are, not what they belong to.

Lines of a paragraph are joined, words divided at line ends made whole, and the running heads and
feet that every page repeats are kept once. Line lengths and punctuation decide; knows no PDF.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

__all__ = ["repair_pages"]

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xa0": " "}
)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_DIVIDED = re.compile(r"([^\W\d_]+(?:-[^\W\d_]+)*)[-\u2010\u00ad]$")
_LIST_ITEM = re.compile(
    r"(?:[•·▪◦‣●○■□➢✓*\u2013\u2014-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.):])\s"
)
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”\u2019»)\]]*$")
_UNSPACED = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_DOT_LEADERS = re.compile(r"(?:[ \t]?\.){5,}")
_CONTENTS_ENTRY = re.compile(r" … \S{0,8}$")
_BLANK_LINES = re.compile(r"\n{3,}")
_DIGITS = re.compile(r"\d+")
_WORD_CHARS = 80  # how much of a line's end is looked at for a divided word
_EDGE_LINES = 2  # how many lines at the top and bottom may be running heads and feet
_MIN_PAGES = 4  # below that, repetition proves nothing
_MIN_LINES = 8  # a shorter page is all head and foot


def repair_pages(pages: Sequence[str]) -> list[str]:
    """Return the pages' texts with paragraphs on single lines."""
    lines = [_split(page) for page in pages]
    running = _running_lines(lines)
    words = {word for page in lines for word in _whole_words(page)}
    seen: set[str] = set()
    return [_join(_drop_running(page, running, seen), words) for page in lines]


def _split(page: str) -> list[str]:
    text = _DOT_LEADERS.sub(" … ", page.translate(_LIGATURES))
    return [" ".join(line.split()) for line in text.splitlines()]


def _whole_words(lines: list[str]) -> Iterator[str]:
    """Yield the words of a page, lower-case, but for the halves of divided ones."""
    divided = False
    for line in lines:
        words = _WORD.findall(line.lower())
        start, divided = int(divided), _is_divided(line)
        yield from words[start : len(words) - int(divided)]


def _edges(lines: list[str]) -> list[int]:
    """Return the positions of a page's first and last lines that are not empty."""
    filled = [position for position, line in enumerate(lines) if line]
    if len(filled) < _MIN_LINES:
        return []
    return sorted({*filled[:_EDGE_LINES], *filled[-_EDGE_LINES:]})


def _pattern(line: str) -> str:
    return _DIGITS.sub("#", line)


def _running_lines(pages: list[list[str]]) -> set[str]:
    """Find the lines at page edges that most pages share but for their numbers."""
    if len(pages) < _MIN_PAGES:
        return set()
    patterns = Counter(
        pattern for page in pages for pattern in {_pattern(page[i]) for i in _edges(page)}
    )
    return {pattern for pattern, count in patterns.items() if 2 * count > len(pages)}


def _drop_running(lines: list[str], running: set[str], seen: set[str]) -> list[str]:
    """Leave a running line where it is first met, as a paragraph, and drop it from then on."""
    if not running:
        return lines
    lines = list(lines)
    for position in _edges(lines):
        pattern = _pattern(lines[position])
        if pattern in running:
            lines[position] = "" if pattern in seen else f"\n{lines[position]}\n"
            seen.add(pattern)
    return "\n".join(lines).split("\n")


def _join(lines: list[str], words: set[str]) -> str:
    lengths = sorted(len(line) for line in lines if line)
    # the length of a full line: a few titles and tables may be longer than the text's column
    full = lengths[int(0.9 * len(lengths))] if lengths else 0
    pieces: list[str] = []
    last = ""
    for line in lines:
        if not line or not last or _starts_anew(last, line, full):
            pieces.append("\n")
        elif _is_divided(last) and line[0].isalpha():
            pieces[-1] = last if _keeps_hyphen(last, line, words) else last[:-1]
        elif not (_UNSPACED.match(last[-1]) and _UNSPACED.match(line[0])):
            pieces.append(" ")
        pieces.append(line)
        last = line
    return _BLANK_LINES.sub("\n\n", "".join(pieces)).strip("\n")


def _is_divided(line: str) -> bool:
    return _DIVIDED.search(line[-_WORD_CHARS:]) is not None


def _starts_anew(last: str, line: str, full: int) -> bool:
    if _LIST_ITEM.match(line) or _CONTENTS_ENTRY.search(last):
        return True
    if _is_numeric(line) or _is_numeric(last):
        return True  # a page number or a row of a table
    if _is_divided(last) and line[0].isalpha():
        return False
    ended = _ends_sentence(last)
    if line[0].islower() and not ended:
        return False
    if last.isupper() != line.isupper() and len(min(last, line, key=len)) > 3:
        return True
    if ended and len(line) < 0.6 * full and not _ends_sentence(line):
        return True  # a heading
    # a line that could have taken the next line's first word was ended on purpose
    room = full - len(last) - 1
    return room > len(line.split(maxsplit=1)[0]) + (0 if ended else 0.2 * full)


def _ends_sentence(line: str) -> bool:
    return _SENTENCE_END.search(line[-8:]) is not None


def _is_numeric(line: str) -> bool:
    return 2 * sum(char.isdigit() for char in line) >= len(line)


def _keeps_hyphen(last: str, line: str, words: set[str]) -> bool:
    halves = _DIVIDED.search(last[-_WORD_CHARS:]), _WORD.match(line)
    left, right = (half.group(half.lastindex or 0) if half else "" for half in halves)
    if right[:1].isupper():
        return True
    left, right = left.lower(), right.lower()
    if f"{left}{right}" in words:
        return False
    # two words that the document knows are a compound; a half of a divided word is rarely one
    return f"{left}-{right}" in words or "-" in left or (left in words and right in words)
