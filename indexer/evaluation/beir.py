"""Reads judged sets in the BEIR layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

Knows files and text only. Everything is checked here, with file and line, so that hours of
embedding are not lost to a typing error at the end.

Source: Thakur et al., "BEIR", NeurIPS 2021, arXiv:2104.08663.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import UsageError
from indexer.evaluation.lines import clean_text, text_lines

__all__ = ["DEFAULT_SPLIT", "BeirDocument", "BeirSet", "load_beir"]

DEFAULT_SPLIT = "test"

Qrels = Mapping[str, Mapping[str, int]]
"""For each query id the grade of each judged document; above 0 is relevant."""


@dataclass(frozen=True, slots=True)
class BeirDocument:
    """One line of ``corpus.jsonl``; title or text may be empty, not both."""

    id: str
    title: str
    text: str

    @property
    def full_text(self) -> str:
        """Title and text joined by a space, as BEIR results are reported."""
        return f"{self.title} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class BeirSet:
    """A judged set, checked.

    Args:
        name: the folder's name.
        folder: where it was read from.
        split: the file of ``qrels/`` that it was judged by.
        documents: in the order of the file, without empty ones.
        queries: text of each query that has at least one relevant document, by its id.
        qrels: judgements of those queries; may name documents that are empty.
        unjudged_queries: how many queries were left out for want of a relevant document.
        empty_documents: how many documents were left out as they hold no text.
    """

    name: str
    folder: Path
    split: str
    documents: tuple[BeirDocument, ...]
    queries: Mapping[str, str]
    qrels: Qrels
    unjudged_queries: int
    empty_documents: int


def load_beir(folder: Path, *, split: str = DEFAULT_SPLIT) -> BeirSet:
    """Read a set.

    Args:
        folder: holds ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/``.
        split: which judgements: ``qrels/SPLIT.tsv``.

    Raises:
        UsageError: a file is missing, a line is wrong, an id is unknown or twice there, or nothing
            is left to measure; the message names file and line.
    """
    qrels_file = _qrels_file(folder, split)
    corpus_file, queries_file = folder / "corpus.jsonl", folder / "queries.jsonl"
    corpus = {
        identifier: BeirDocument(identifier, title, text)
        for identifier, title, text, _ in _records(corpus_file)
    }
    queries: dict[str, str] = {}
    for identifier, _, text, place in _records(queries_file):
        if not text:
            raise UsageError(f"{place}: the text of query {identifier!r} is empty; remove it.")
        queries[identifier] = text
    qrels = _read_qrels(qrels_file, queries=queries, documents=corpus)
    judged = {query: grades for query, grades in qrels.items() if max(grades.values()) > 0}
    documents = tuple(document for document in corpus.values() if document.full_text)
    if not documents:
        raise UsageError(f"{corpus_file} holds no document with text; there is nothing to search.")
    if not judged:
        raise UsageError(
            f"{qrels_file} judges no document relevant (a score above 0) for any query; there is "
            "nothing to measure."
        )
    return BeirSet(
        name=folder.resolve().name,
        folder=folder,
        split=split,
        documents=documents,
        queries={query: text for query, text in queries.items() if query in judged},
        qrels=judged,
        unjudged_queries=len(queries) - len(judged),
        empty_documents=len(corpus) - len(documents),
    )


def _qrels_file(folder: Path, split: str) -> Path:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give one in the BEIR layout (corpus.jsonl, …).")
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} has no {name}. A judged set holds corpus.jsonl, queries.jsonl and "
                f"qrels/{split}.tsv (the BEIR layout)."
            )
    file = folder / "qrels" / f"{split}.tsv"
    if not file.is_file():
        there = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
        hint = f"choose --split from: {', '.join(there)}" if there else "qrels/ holds no .tsv file"
        raise UsageError(f"{folder} has no qrels/{split}.tsv; {hint}.")
    return file


def _records(file: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield (id, title, text, place in the file) of each line, ids checked to be unique."""
    seen: dict[str, str] = {}
    for line, place in text_lines(file):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{place} is not valid JSON: {error}.") from error
        if not isinstance(record, dict):
            raise UsageError(f"{place} must be an object with _id and text, not {line[:80]!r}.")
        identifier = record.get("_id")
        if isinstance(identifier, int) and not isinstance(identifier, bool):
            identifier = str(identifier)
        if not isinstance(identifier, str) or not identifier:
            raise UsageError(f"{place}: _id must be a text, but is {identifier!r}.")
        if identifier in seen:
            raise UsageError(
                f"{place}: the _id {identifier!r} is already used at {seen[identifier]}."
            )
        seen[identifier] = place
        title = _text(record.get("title") or "", "title", place)
        yield identifier, title, _text(record.get("text"), "text", place), place


def _text(value: object, name: str, place: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{place}: {name} must be a text, but is {value!r}.")
    return clean_text(value)


def _read_qrels(
    file: Path, *, queries: Mapping[str, object], documents: Mapping[str, object]
) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, (line, place) in enumerate(text_lines(file)):
        fields = line.split("\t")
        if len(fields) != 3:
            raise UsageError(
                f"{place} has {len(fields)} columns; expected three between tabs: query id, "
                "document id, score."
            )
        query, document, score = (field.strip() for field in fields)
        if number == 0 and not _is_integer(score):
            continue  # the heading
        if not _is_integer(score):
            raise UsageError(f"{place}: the score must be a whole number, but is {score!r}.")
        if query not in queries:
            raise UsageError(f"{place}: queries.jsonl has no query {query!r}.")
        if document not in documents:
            raise UsageError(f"{place}: corpus.jsonl has no document {document!r}.")
        known = qrels.setdefault(query, {}).setdefault(document, int(score))
        if known != int(score):
            raise UsageError(
                f"{place}: query {query!r} and document {document!r} are judged {known} further "
                f"up, and {score} here."
            )
    return qrels


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
