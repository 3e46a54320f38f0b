"""Writes a collection's judgements for others to read: BEIR files, with or without documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from indexer.errors import UsageError
from indexer.evaluation.judged_queries import QRELS_HEADING
from indexer.evaluation.judgement_book import QRELS_FILE, QUERIES_FILE, JudgementBook
from indexer.storage.segments import disk_errors
from indexer.stores.base import VectorStore

__all__ = ["export_set", "judgement_files", "write_files"]

CORPUS_FILE = "corpus.jsonl"


def judgement_files(book: JudgementBook) -> dict[str, str]:
    """Return the files of judgements without documents, by name.

    Documents are named by their paths, for people to read and ``gircse tune`` to find; by their ids
    where a path would break the lines of the file.

    Raises:
        StorageError: the judgements cannot be read.
    """
    queries = book.queries()
    sources = {one.document: one.source for query in queries for one in query.passages}
    qrels = {
        query.id: {_named(document, sources[document]): grade for document, grade in found.items()}
        for query, found in ((query, query.grades) for query in queries)
    }
    return {
        QUERIES_FILE: _queries({query.id: query.text for query in queries}),
        QRELS_FILE: _qrels(qrels),
    }


def export_set(book: JudgementBook, store: VectorStore, folder: Path) -> int:
    """Write a whole judged set, documents included; return how many documents.

    Args:
        book: the judgements; those of documents that are gone are left out.
        store: has the documents.
        folder: made here; nothing may be in it.

    Raises:
        UsageError: nothing was judged as an answer.
        StorageError: it cannot be written.
    """
    records = store.documents()
    judgements, _ = book.judgements(records)
    if not judgements.queries:
        raise UsageError("no hit of a document that is there was judged as an answer yet")
    write_files(
        folder, {QUERIES_FILE: _queries(judgements.queries), QRELS_FILE: _qrels(judgements.qrels)}
    )
    path = folder / CORPUS_FILE
    with disk_errors(path, needed=0), path.open("w", encoding="utf-8") as file:
        for line in _documents(store, [record.id for record in records]):
            file.write(line)
    return len(records)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder of their own.

    Raises:
        StorageError: they cannot be written.
    """
    for name, text in files.items():
        path = folder / name
        with disk_errors(path, needed=len(text)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _named(document: str, source: str) -> str:
    return source if source.isprintable() and source == source.strip() else document


def _queries(queries: Mapping[str, str]) -> str:
    lines = ({"_id": identifier, "text": text} for identifier, text in queries.items())
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _qrels(qrels: Mapping[str, Mapping[str, int]]) -> str:
    rows = ["\t".join(QRELS_HEADING)]
    rows += [
        f"{query}\t{document}\t{grade}"
        for query, grades in qrels.items()
        for document, grade in grades.items()
    ]
    return "\n".join(rows) + "\n"


def _documents(store: VectorStore, ids: list[str]) -> Iterator[str]:
    for identifier in ids:
        document = store.document(identifier)
        if document is not None:  # else it was removed meanwhile
            entry = {"_id": document.id, "title": document.title, "text": document.text}
            yield json.dumps(entry, ensure_ascii=False) + "\n"
