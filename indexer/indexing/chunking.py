"""Cuts documents into the passages that are embedded and found.

Cuts follow the structure: sections, then paragraphs, lines, sentences, words. Counting is by the
model's own tokens. Knows nothing about formats or models.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.documents import Chunk, Document, Section, chunk_id
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.indexing.token_index import TokenIndex

__all__ = ["Chunker", "ChunkingConfig"]

_MIN_TOKENS, _MAX_TOKENS = 16, 8192
_SEPARATOR = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
_BOUNDARY = re.compile(
    r"(?P<paragraph>\n[^\S\n]*\n\s*)"
    r"|(?P<line>\n\s*)"
    # an initial ("J. Smith") and an abbreviation before a small letter end no sentence
    r"|(?P<sentence>(?<!\b[A-Z]\.)(?<=[.!?…])[\"'”)\]]*[^\S\n]+(?=[^\sa-z])|(?<=[。\uff01\uff1f])(?!\s))"
    r"|(?P<word>[^\S\n]+)"
)
_RANKS = {"paragraph": 4, "line": 3, "sentence": 2, "word": 1}
# formats in which a line may end in the middle of a sentence
_WRAPPED = frozenset({"text", "pdf", "email"})
_FILL = 0.6  # a chunk is filled at least so far before a cut is looked for
_SLACK = 1.25  # how much longer than its equal share a piece may become to end at a better place
_SMALL = 0.25  # a group of sections below this share of a chunk joins the section after it
_ZERO_WIDTH_JOINER = "\u200d"


@dataclass(frozen=True, slots=True)
class ChunkingConfig:
    """How documents are cut; part of a collection's fingerprint.

    Args:
        max_tokens: tokens of a passage at most, without context and special tokens.
        overlap_tokens: tokens repeated at most where a line or paragraph had to be cut.
        context_tokens: tokens at most of the title and heading path that go with each passage.
    """

    max_tokens: int = 200
    overlap_tokens: int = 20
    context_tokens: int = 40

    def __post_init__(self) -> None:
        if not _MIN_TOKENS <= self.max_tokens <= _MAX_TOKENS:
            raise UsageError(
                f"chunks of {self.max_tokens} tokens are not possible: "
                f"choose between {_MIN_TOKENS} and {_MAX_TOKENS}"
            )
        # more would leave too little of each chunk to move on by
        if not 0 <= self.overlap_tokens <= self.max_tokens // 4:
            raise UsageError(
                f"an overlap of {self.overlap_tokens} tokens does not fit chunks of "
                f"{self.max_tokens}: choose between 0 and {self.max_tokens // 4}"
            )
        if not 0 <= self.context_tokens <= _MAX_TOKENS:
            raise UsageError(
                f"a context of {self.context_tokens} tokens is not possible: "
                f"choose between 0 and {_MAX_TOKENS}"
            )

    def as_dict(self) -> dict[str, int]:
        """Return the settings by name."""
        return asdict(self)


class Chunker:
    """Cuts documents by the tokens of one model.

    Args:
        tokenizer_file: the model's ``tokenizer.json``.
        config: sizes.

    Raises:
        UsageError: the tokenizer cannot be read.
    """

    def __init__(self, tokenizer_file: Path, config: ChunkingConfig) -> None:
        # here, so that reading a collection's settings does not load the tokenizers package
        from indexer.indexing.token_index import TokenCounter, TokenIndex

        self.config = config
        self._counter = TokenCounter(tokenizer_file)
        self._index_type = TokenIndex

    def chunk(self, document: Document) -> list[Chunk]:
        """Cut a document.

        Returns:
            Its chunks in order: each on one page, at most ``max_tokens`` long, without white space
            around it; together they hold every word of every section.
        """
        index = self._index_type(document.text, self._counter)
        contexts: dict[tuple[str, ...], str] = {}
        chunks: list[Chunk] = []
        for group in self._group(document.sections, index):
            for start, end in self._split(document, group, index):
                headings = _common_headings(group, start, end)
                if headings not in contexts:
                    contexts[headings] = self._context(document.title, headings)
                text = document.text[start:end]
                chunks.append(
                    Chunk(
                        id=chunk_id(document.id, start, end, text),
                        document_id=document.id,
                        text=text,
                        start=start,
                        end=end,
                        page=group[0].page,
                        context=contexts[headings],
                    )
                )
        return chunks

    def _group(self, sections: tuple[Section, ...], index: TokenIndex) -> Iterator[list[Section]]:
        """Put small sections that follow each other under one heading together."""
        group: list[Section] = []
        for section in sections:
            if group and not self._joins(group, section, index):
                yield group
                group = []
            group.append(section)
        if group:
            yield group

    def _joins(self, group: list[Section], section: Section, index: TokenIndex) -> bool:
        first = group[0]
        # siblings and descendants only: a section never joins what stands outside of its parent
        parent = first.headings[:-1]
        if section.page != first.page or section.headings[: len(parent)] != parent:
            return False
        if index.count(first.start, section.end) <= self.config.max_tokens:
            return True
        # a heading with next to nothing below it makes no passage
        return index.count(first.start, group[-1].end) < _SMALL * self.config.max_tokens

    def _split(
        self, document: Document, group: list[Section], index: TokenIndex
    ) -> Iterator[tuple[int, int]]:
        """Yield the ``(start, end)`` of the chunks of a group."""
        text, stop = document.text, group[-1].end
        start = group[0].start
        line_rank = _RANKS["sentence" if document.media_type in _WRAPPED else "line"]
        while start < stop:
            cut, rank = self._find_cut(text, start, stop, index, line_rank)
            begin, end = _strip(text, start, cut)
            if begin < end:
                yield begin, end
            # whole lines and paragraphs stand for themselves
            if cut < stop and rank < _RANKS["line"]:
                start = max(start + 1, self._step_back(text, cut, index))
            else:
                start = cut

    def _find_cut(
        self, text: str, start: int, stop: int, index: TokenIndex, line_rank: int
    ) -> tuple[int, int]:
        """Return where the chunk that begins at ``start`` ends, and the rank of that boundary."""
        first = index.ordinal(start)
        remaining = index.ordinal(stop) - first
        limit = self.config.max_tokens
        if remaining <= limit and self._fits(text, start, stop):
            return stop, _RANKS["paragraph"]
        # equal shares leave no tail too short to mean anything
        share = remaining / -(-remaining // limit)
        high = max(1, min(limit, int(share * _SLACK)))
        while True:
            low = index.position(first + int(_FILL * min(high, share)))
            cut, rank = _best_boundary(text, low, index.position(first + high), line_rank)
            cut = min(max(cut, start + 1), stop)
            if high == 1 or self._fits(text, start, cut):
                return cut, rank
            # counted apart from its surroundings, the piece has more tokens than in them
            high = max(1, min(high - 1, int(0.9 * high)))

    def _fits(self, text: str, start: int, end: int) -> bool:
        """Check a piece by itself, where its tokens may differ from those in the whole text."""
        is_whole = _is_space_at(text, start - 1) and _is_space_at(text, end - 1, end)
        if self._counter.is_local and is_whole:
            return True
        return self._counter.count(text[start:end]) <= self.config.max_tokens

    def _step_back(self, text: str, cut: int, index: TokenIndex) -> int:
        """Return where the overlap before a cut begins: at a sentence, else at a word."""
        low = index.position(max(0, index.ordinal(cut) - self.config.overlap_tokens))
        best, best_rank = cut, 0
        for match in _BOUNDARY.finditer(text, low, cut):
            rank = _RANKS[match.lastgroup or "word"]
            # the first of the highest rank, so that as much is repeated as is allowed
            if rank > best_rank and match.end() < cut:
                best, best_rank = match.end(), rank
        return best

    def _context(self, title: str, headings: tuple[str, ...]) -> str:
        """Join title and headings, leaving out the outer headings first when that is too long."""
        limit = self.config.context_tokens
        if limit == 0:
            return ""
        shortened = (("…", *headings[dropped:]) for dropped in range(1, len(headings)))
        for kept in (headings, *shortened):
            context = _SEPARATOR.join((title, *kept))
            if self._counter.count(context) <= limit:
                return context
        if not headings:
            return self._cut_words(title, limit)
        inner = self._cut_words(headings[-1], limit // 2)
        outer = self._cut_words(title, limit - self._counter.count(f"{_SEPARATOR}{inner}"))
        return _SEPARATOR.join(part for part in (outer, inner) if part)

    def _cut_words(self, text: str, limit: int) -> str:
        """Return the first words that fit into ``limit`` tokens; empty when not even one does."""
        if self._counter.count(text) <= limit:
            return text
        words = text.split()
        # the mark of omission takes a token
        fitting = takewhile(
            lambda count: self._counter.count(" ".join(words[:count])) < limit,
            range(1, len(words) + 1),
        )
        count = max(fitting, default=0)
        return " ".join(words[:count]) + "…" if count else ""


def _best_boundary(text: str, low: int, high: int, line_rank: int) -> tuple[int, int]:
    """Return the last boundary of the highest rank in ``(low, high]``, and its rank."""
    best, best_rank = 0, 0
    # one character more, so that a sentence that ends at ``high`` is seen to end
    for match in _BOUNDARY.finditer(text, low, high + 1):
        name = match.lastgroup or "word"
        rank = line_rank if name == "line" else _RANKS[name]
        if rank >= best_rank and low < match.end() <= high:
            best, best_rank = match.end(), rank
    return (best, best_rank) if best_rank else (_before_cluster(text, low, high), 0)


def _before_cluster(text: str, low: int, high: int) -> int:
    """Move a cut in the middle of a word off the inside of a character as people see it."""
    cut = high
    while cut > low and cut < len(text) and _continues(text[cut - 1], text[cut]):
        cut -= 1
    return cut if cut > low else high


def _continues(before: str, after: str) -> bool:
    return (
        unicodedata.category(after) in {"Mn", "Me", "Mc"}
        or _ZERO_WIDTH_JOINER in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
    )


def _is_space_at(text: str, *positions: int) -> bool:
    """Say whether white space, or nothing, is at one of the positions."""
    return any(p < 0 or p >= len(text) or text[p].isspace() for p in positions)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _common_headings(group: list[Section], start: int, end: int) -> tuple[str, ...]:
    """Return what the heading paths of the sections in ``[start, end)`` have in common."""
    paths = [section.headings for section in group if section.start < end and start < section.end]
    shared = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    return tuple(names[0] for names in shared)
