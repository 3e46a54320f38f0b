"""Where the tokens of a text begin: counts tokens of any stretch of it without encoding it again.

Knows one tokenizer file; leaves chunks, documents and the model to others.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from indexer.errors import UsageError

__all__ = ["TokenCounter", "TokenIndex"]

_BLOCK_CHARS = 65_536
_WHITE_SPACE = re.compile(r"\s")
# WordPiece makes one unknown token of any longer word, and white space makes none at all: such
# stretches count as if there were a token every few characters, so that they can be cut
_LONG_TOKEN_CHARS = 24
_LONG_TOKEN_STEP = 6
_PROBE = "Überraschung tokenization naïve xylophone 42,7% foo_bar"


class TokenCounter:
    """Counts the model's tokens.

    Args:
        tokenizer_file: ``tokenizer.json`` of the model.

    Raises:
        UsageError: the file is missing or no tokenizer.
    """

    def __init__(self, tokenizer_file: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        # the tokenizers package raises plain Exception for every fault of the file
        except Exception as error:
            raise UsageError(f"{tokenizer_file} cannot be read as a tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        words = _PROBE.split()
        self.is_local = self.count(" ".join(words)) == sum(self.count(word) for word in words)
        """Whether cutting at white space leaves the tokens on both sides as they are."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, special tokens not among them."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the characters ``[start, end)`` that each token stands for."""
        spans: list[tuple[int, int]] = self._tokenizer.encode(
            text, add_special_tokens=False
        ).offsets
        return spans


class TokenIndex:
    """The positions in one text at which tokens begin.

    Args:
        text: the text; encoded in blocks, so that memory stays in proportion to it.
        counter: counts its tokens.
    """

    def __init__(self, text: str, counter: TokenCounter) -> None:
        self._length = len(text)
        self._starts = array("q")
        for begin, end in _blocks(text):
            self._add_block(counter.spans(text[begin:end]), begin, end)

    def __len__(self) -> int:
        return len(self._starts)

    def ordinal(self, position: int) -> int:
        """Return how many tokens begin before a character position."""
        return bisect_left(self._starts, position)

    def position(self, ordinal: int) -> int:
        """Return where a token begins; the length of the text for one past the last."""
        return self._starts[ordinal] if ordinal < len(self._starts) else self._length

    def count(self, start: int, end: int) -> int:
        """Return the number of tokens that begin in ``[start, end)``."""
        return self.ordinal(end) - self.ordinal(start)

    def _add_block(self, spans: list[tuple[int, int]], begin: int, end: int) -> None:
        append = self._starts.append
        last = 0
        for start, stop in spans:
            if start - last > _LONG_TOKEN_CHARS:
                self._starts.extend(range(begin + last, begin + start, _LONG_TOKEN_STEP))
            if stop - start > _LONG_TOKEN_CHARS:
                self._starts.extend(range(begin + start, begin + stop, _LONG_TOKEN_STEP))
            else:
                append(begin + start)
            last = stop
        if end - begin - last > _LONG_TOKEN_CHARS:
            self._starts.extend(range(begin + last, end, _LONG_TOKEN_STEP))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at white space into blocks that are encoded at once."""
    begin = 0
    while begin < len(text):
        end = min(begin + _BLOCK_CHARS, len(text))
        if end < len(text):
            # a block without any white space in its last part is cut where it is
            spaces = [match.end() for match in _WHITE_SPACE.finditer(text, end - 1024, end)]
            end = spaces[-1] if spaces else end
        yield begin, end
        begin = end
