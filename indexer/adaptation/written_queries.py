"""Queries written by a language model: asked for, cleaned, and kept only where they hold.

A written query is kept when it is of a query's length, no copy of the passage, not written before,
more likely after its own passage than after a similar one, and when its own passage is among the
first that a search for it finds.

Source: refining generated pairs by contrast at each stage follows MultiCSR (Wang et al., NAACL
2024, arXiv:2310.10962); the round trip is Alberti et al., ACL 2019, arXiv:1906.05416.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from indexer.adaptation.pairs import Pair
from indexer.adaptation.passages import Passage
from indexer.adaptation.query_prompts import blank_prompt, query_prompt
from indexer.searching.words import terms

if TYPE_CHECKING:
    from indexer.embedder import Embedder
    from indexer.stores.base import VectorStore

__all__ = ["Fault", "QueryWriter", "WritingReport", "cleaned", "copies", "write_pairs_for"]

Fault = Literal["length", "copy", "repeated", "round trip", "contrast"]

_MIN_WORDS, _MAX_WORDS = 2, 32
_LONGEST_COPY = 8
"""So many words in a row that stand in the passage as well make a query a copy."""

_PASSAGES_AT_A_TIME = 64
_LABEL = re.compile(r"^\W*(?:search\s+)?(?:query|question)\s*:\W*", re.IGNORECASE)
_NUMBERING = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb "


class QueryWriter(Protocol):
    """A language model, as ``gircse_core.training.query_writer`` loads it."""

    def write(self, prompts: Sequence[str], *, blank_prompts: Sequence[str]) -> Iterator[str]:
        """Yield the answer to each prompt."""

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        """Return the mean log-probability per token of each answer after its prompt."""


@dataclass(slots=True)
class WritingReport:
    """What became of the queries.

    Args:
        written: how many were written.
        kept: how many of them are used.
        dropped: how many were left out, by the first fault that was found.
    """

    written: int = 0
    kept: int = 0
    dropped: Counter[Fault] = field(default_factory=Counter)


def write_pairs_for(
    passages: Sequence[Passage],
    writer: QueryWriter,
    store: VectorStore,
    embedder: Embedder,
    *,
    steps: int,
    found_within: int = 10,
    report: WritingReport,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Pair]:
    """Yield a pair for each passage whose written query is worth keeping.

    Args:
        passages: of the store.
        writer: the language model.
        store: of the collection.
        embedder: the model that the store's vectors were made with.
        steps: refinement steps of the queries.
        found_within: the passage must be among so many first hits of either leg.
        report: counts what was written, kept and dropped.
        on_progress: told how many passages are done.
    """
    seen: set[str] = set()
    for begin in range(0, len(passages), _PASSAGES_AT_A_TIME):
        part = passages[begin : begin + _PASSAGES_AT_A_TIME]
        prompts = [query_prompt(passage) for passage in part]
        answers = writer.write(prompts, blank_prompts=[blank_prompt()] * len(part))
        candidates = []
        for passage, answer in zip(part, answers, strict=True):
            query = cleaned(answer)
            report.written += 1
            fault = _fault_of_text(query, passage, seen)
            if fault:
                report.dropped[fault] += 1
                continue
            seen.add(query.casefold())
            candidates.append(Pair("written", query, passage.full_text, passage))
        for pair in _holding(candidates, writer, store, embedder, steps, found_within, report):
            report.kept += 1
            yield pair
        on_progress(begin + len(part))


def cleaned(answer: str) -> str:
    """Return the query in an answer: its first line that is not blank, without label and quotes."""
    line = next((line for line in answer.splitlines() if line.strip()), "")
    line = _LABEL.sub("", _NUMBERING.sub("", line))
    return " ".join(line.strip(_QUOTES).split())


def copies(query: str, text: str) -> bool:
    """Say whether a query stands in a text as it is, or a long run of its words does."""
    asked, words = _plain_words(query), f" {' '.join(_plain_words(text))} "
    length = min(len(asked), _LONGEST_COPY)
    runs = (asked[at : at + length] for at in range(len(asked) - length + 1))
    return length > 2 and any(f" {' '.join(run)} " in words for run in runs)


def _fault_of_text(query: str, passage: Passage, seen: set[str]) -> Fault | None:
    found = terms(query)
    # pairs of letters stand for words where none are written apart
    count = len(query.split()) + sum(found.pieces.values())
    if not _MIN_WORDS <= count <= _MAX_WORDS:
        return "length"
    if copies(query, passage.full_text):
        return "copy"
    return "repeated" if query.casefold() in seen else None


def _holding(
    pairs: Sequence[Pair],
    writer: QueryWriter,
    store: VectorStore,
    embedder: Embedder,
    steps: int,
    found_within: int,
    report: WritingReport,
) -> Iterator[Pair]:
    """Yield the pairs whose passage is found by the query, and explains it best."""
    if not pairs:
        return
    found = []
    vectors = embedder.embed_queries([pair.query for pair in pairs], steps=steps)
    for pair, dense in zip(pairs, store.search(vectors, top_k=found_within), strict=True):
        lexical = store.search_text(pair.query, top_k=found_within)
        hits = list(dict.fromkeys(hit.chunk_id for hit in [*dense, *lexical]))
        if pair.passage.chunk_id in hits:
            found.append((pair, [hit for hit in hits if hit != pair.passage.chunk_id]))
        else:
            report.dropped["round trip"] += 1
    yield from _contrasted(found, writer, store, report)


def _contrasted(
    found: Sequence[tuple[Pair, Sequence[str]]],
    writer: QueryWriter,
    store: VectorStore,
    report: WritingReport,
) -> Iterator[Pair]:
    """Yield the pairs whose query is likelier after its passage than after the closest other one.

    Without another passage, after none at all.
    """
    queries = [pair.query for pair, _ in found]
    own = writer.likelihoods([query_prompt(pair.passage) for pair, _ in found], queries)
    stored = store.get([others[0] for _, others in found if others])
    rivals = []
    for _, others in found:
        rival = stored.get(others[0]) if others else None
        rivals.append(query_prompt(Passage.of(rival)) if rival else blank_prompt())
    other = writer.likelihoods(rivals, queries)
    for (pair, _), mine, theirs in zip(found, own, other, strict=True):
        if mine > theirs:
            yield pair
        else:
            report.dropped["contrast"] += 1


def _plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
