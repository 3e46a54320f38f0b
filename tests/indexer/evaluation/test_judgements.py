"""Judgements of a collection: files in, the collection's own ids out."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import UsageError
from indexer.evaluation.judgements import read_judgements
from indexer.stores.base import DocumentRecord

SOURCES = ["/data/home/tap.md", "/data/work/tap.md", "/data/work/lease.pdf"]


def record(source: str) -> DocumentRecord:
    return DocumentRecord(f"id-{source}", source, "Title", "markdown", 0.0, 1, 1)


def write(folder: Path, queries: str, qrels: str, *, split: str = "test") -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_text(queries, encoding="utf-8")
    (folder / "qrels" / f"{split}.tsv").write_text(qrels, encoding="utf-8")
    return folder


QUERIES = '{"_id": "a", "text": "a dripping tap"}\n{"_id": 7, "text": "who pays the rent"}\n'


def read(folder: Path, **options):
    return read_judgements(folder, map(record, SOURCES), **options)


def test_documents_are_named_by_id_by_path_or_by_the_end_of_it(tmp_path: Path) -> None:
    qrels = (
        "query-id\tcorpus-id\tscore\na\thome/tap.md\t2\n7\tlease.pdf\t1\n"
        "7\t/data/work/tap.md\t0\n7\tid-/data/home/tap.md\t1\n"
    )
    found = read(write(tmp_path / "mine", QUERIES, qrels))

    assert found.name == "mine"
    assert found.queries == {"a": "a dripping tap", "7": "who pays the rent"}
    assert found.qrels == {
        "a": {"id-/data/home/tap.md": 2},
        "7": {"id-/data/work/lease.pdf": 1, "id-/data/work/tap.md": 0, "id-/data/home/tap.md": 1},
    }


def test_queries_without_a_relevant_document_are_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "j", QUERIES, "a\tlease.pdf\t1\n7\tlease.pdf\t0\n", split="dev")
    assert read(folder, split="dev").queries == {"a": "a dripping tap"}


@pytest.mark.parametrize(
    ("queries", "qrels", "words"),
    [
        (QUERIES, "a\ttap.md\t1\n", r"test.tsv:1: 'tap.md' may be any of 2 documents"),
        (QUERIES, "a\tap.md\t1\n", r"test.tsv:1: the collection has no document 'ap.md'; index it"),
        (QUERIES, "a\t\t1\n", r"has no document ''"),
        (QUERIES, "a\tlease.pdf\n", r"test.tsv:1 has 2 columns; expected three"),
        (QUERIES, "a\tlease.pdf\t1\na\tlease.pdf\tyes\n", r"test.tsv:2: the score must be a whole"),
        (QUERIES, "b\tlease.pdf\t1\n", r"test.tsv:1: queries.jsonl has no query 'b'"),
        (QUERIES, "a\tlease.pdf\t0\n", r"test.tsv judges no document relevant"),
        (QUERIES, "", r"test.tsv judges no document relevant"),
        ("{}\n", "", r"queries.jsonl:1 must be a JSON object with _id and text"),
        ("[1]\n", "", r"queries.jsonl:1 must be a JSON object"),
        ('{"_id": "a", "text": 3}\n', "", r"queries.jsonl:1 must be a JSON object"),
        ('{"_id": "a", "text": " "}\n', "", r"queries.jsonl:1: the text of query 'a' is empty"),
        (QUERIES + QUERIES, "", r"queries.jsonl:3: the _id 'a' is used further up"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, queries: str, qrels: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        read(write(tmp_path / "j", queries, qrels))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"queries.jsonl cannot be read"):
        read(tmp_path)
