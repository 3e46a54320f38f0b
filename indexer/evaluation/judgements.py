"""Reads a user's own judgements of a collection: queries and which of its documents answer them.

The BEIR layout without the documents: queries.jsonl and qrels/SPLIT.tsv, whose document ids are
paths, whole or from some folder on, or ids of the collection.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from indexer.errors import UsageError
from indexer.evaluation.lines import clean_text, text_lines
from indexer.stores.base import DocumentRecord

__all__ = ["Judgements", "read_judgements"]


@dataclass(frozen=True, slots=True)
class Judgements:
    """Judged queries.

    Args:
        name: the folder's name.
        queries: text of each query that has at least one relevant document, by its id.
        qrels: for each of them the grade of each judged document, by the collection's ids.
    """

    name: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]


def read_judgements(
    folder: Path, documents: Iterable[DocumentRecord], *, split: str = "test"
) -> Judgements:
    """Read judgements of a collection's documents.

    Args:
        folder: holds ``queries.jsonl`` and ``qrels/``.
        documents: those of the collection.
        split: which judgements: ``qrels/SPLIT.tsv``.

    Raises:
        UsageError: a file is missing, a line is wrong, or a document is not in the collection or
            not the only one of that path; the message names file and line.
    """
    queries = _read_queries(folder / "queries.jsonl")
    qrels_file = folder / "qrels" / f"{split}.tsv"
    qrels: dict[str, dict[str, int]] = {}
    found = _Documents(documents)
    for number, (line, place) in enumerate(text_lines(qrels_file)):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 3:
            raise UsageError(
                f"{place} has {len(fields)} columns; expected three between tabs: query id, "
                "document, score."
            )
        query, document, score = fields
        if not score.removeprefix("-").isdecimal():
            if number == 0:
                continue  # the heading
            raise UsageError(f"{place}: the score must be a whole number, but is {score!r}.")
        if query not in queries:
            raise UsageError(f"{place}: queries.jsonl has no query {query!r}.")
        qrels.setdefault(query, {})[found.id_of(document, place)] = int(score)
    judged = {query: grades for query, grades in qrels.items() if max(grades.values()) > 0}
    if not judged:
        raise UsageError(f"{qrels_file} judges no document relevant (a score above 0).")
    return Judgements(
        name=folder.resolve().name,
        queries={query: queries[query] for query in judged},
        qrels=judged,
    )


class _Documents:
    """Finds documents by id, source, or the end of the source's path."""

    def __init__(self, documents: Iterable[DocumentRecord]) -> None:
        self._ids: set[str] = set()
        self._by_name: defaultdict[str, list[DocumentRecord]] = defaultdict(list)
        for document in documents:
            self._ids.add(document.id)
            self._by_name[PurePath(document.source).name].append(document)

    def id_of(self, text: str, place: str) -> str:
        if text in self._ids:
            return text
        wanted = PurePath(text).parts
        found = [
            document
            for document in self._by_name.get(PurePath(text).name, [])
            if wanted and PurePath(document.source).parts[-len(wanted) :] == wanted
        ]
        if len(found) == 1:
            return found[0].id
        if not found:
            raise UsageError(
                f"{place}: the collection has no document {text!r}; index it, or remove the line."
            )
        paths = ", ".join(document.source for document in found[:3])
        raise UsageError(
            f"{place}: {text!r} may be any of {len(found)} documents ({paths}…); give more of the "
            "path."
        )


def _read_queries(file: Path) -> dict[str, str]:
    queries: dict[str, str] = {}
    for line, place in text_lines(file):
        try:
            record = json.loads(line)
            identifier, text = record["_id"], clean_text(record["text"])
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"{place} must be a JSON object with _id and text, not {line[:80]!r}."
            ) from error
        if not text:
            raise UsageError(f"{place}: the text of query {identifier!r} is empty; remove it.")
        if str(identifier) in queries:
            raise UsageError(f"{place}: the _id {identifier!r} is used further up.")
        queries[str(identifier)] = text
    return queries
