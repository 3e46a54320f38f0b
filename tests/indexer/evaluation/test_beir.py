from __future__ import annotations

import json

import pytest

from indexer.errors import UsageError
from indexer.evaluation.beir import load_beir

CORPUS = [
    {"_id": "d1", "title": "Bread", "text": "goes stale in the fridge"},
    {"_id": "d2", "title": "", "text": "a bridge of steel"},
    {"_id": "d3", "title": "Only a title", "text": ""},
    {"_id": "d4", "title": "", "text": " "},
]
QUERIES = [{"_id": "q1", "text": "stale bread"}, {"_id": "q2", "text": "bridges"}]
HEADING = "query-id\tcorpus-id\tscore\n"


def _write(folder, *, corpus=CORPUS, queries=QUERIES, qrels=HEADING + "q1\td1\t1\n"):
    (folder / "qrels").mkdir(parents=True)
    for name, records in (("corpus", corpus), ("queries", queries)):
        text = records if isinstance(records, str) else "\n".join(map(json.dumps, records))
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return folder


def test_a_set_is_read_and_what_is_left_out_is_counted(tmp_path):
    found = load_beir(_write(tmp_path / "bakery"))
    assert found.name == "bakery"
    assert [document.id for document in found.documents] == ["d1", "d2", "d3"]
    assert found.documents[0].full_text == "Bread goes stale in the fridge"
    assert found.documents[2].full_text == "Only a title"
    assert found.empty_documents == 1
    assert found.queries == {"q1": "stale bread"}
    assert found.qrels == {"q1": {"d1": 1}}
    assert found.unjudged_queries == 1


def test_queries_of_which_nothing_is_relevant_are_left_out(tmp_path):
    found = load_beir(_write(tmp_path, qrels="q1\td1\t2\nq1\td2\t0\nq2\td2\t0\n"))
    assert list(found.queries) == ["q1"]
    assert found.qrels == {"q1": {"d1": 2, "d2": 0}}
    assert found.unjudged_queries == 1


def test_an_empty_document_may_be_judged(tmp_path):
    found = load_beir(_write(tmp_path, qrels="q1\td4\t1\n"))
    assert found.qrels == {"q1": {"d4": 1}}


def test_numbers_serve_as_ids_and_lone_surrogates_are_replaced(tmp_path):
    queries = '{"_id": 7, "text": "odd \\ud800 text"}\n'
    found = load_beir(_write(tmp_path, queries=queries, qrels="7\td1\t1\n"))
    assert found.queries == {"7": "odd ? text"}


def test_another_split_is_chosen_by_name(tmp_path):
    folder = _write(tmp_path)
    (folder / "qrels" / "dev.tsv").write_text("q2\td2\t1\n")
    assert list(load_beir(folder, split="dev").queries) == ["q2"]
    with pytest.raises(
        UsageError, match=r"has no qrels/train\.tsv; choose --split from: dev, test"
    ):
        load_beir(folder, split="train")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"corpus": '{"_id": "d1", "text": "a"}\n{"_id"'}, r"corpus\.jsonl:2 is not valid JSON"),
        ({"corpus": "[1]"}, r"corpus\.jsonl:1 must be an object"),
        ({"corpus": '{"text": "a"}'}, r"corpus\.jsonl:1: _id must be a text, but is None"),
        ({"corpus": '{"_id": "d1", "text": 3}'}, r"corpus\.jsonl:1: text must be a text"),
        ({"corpus": [CORPUS[0], CORPUS[0]]}, r"corpus\.jsonl:2: the _id 'd1' is already used"),
        ({"corpus": '{"_id": "d1", "text": " "}'}, r"corpus\.jsonl holds no document with text"),
        ({"queries": [{"_id": "q1", "text": ""}]}, r"queries\.jsonl:1: the text of query 'q1'"),
        ({"qrels": "q1\td1\n"}, r"test\.tsv:1 has 2 columns"),
        ({"qrels": HEADING + "q1\td1\tyes\n"}, r"test\.tsv:2: the score must be a whole number"),
        ({"qrels": HEADING + "q9\td1\t1\n"}, r"test\.tsv:2: queries\.jsonl has no query 'q9'"),
        ({"qrels": HEADING + "q1\td9\t1\n"}, r"test\.tsv:2: corpus\.jsonl has no document 'd9'"),
        ({"qrels": "q1\td1\t1\nq1\td1\t2\n"}, r"test\.tsv:2: .* are judged 1 further up, and 2"),
        ({"qrels": HEADING}, r"test\.tsv judges no document relevant"),
        ({"qrels": "q1\td1\t0\n"}, r"test\.tsv judges no document relevant"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, files, message):
    with pytest.raises(UsageError, match=message):
        load_beir(_write(tmp_path, **files))


def test_bytes_that_are_no_text_are_named(tmp_path):
    folder = _write(tmp_path)
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "d1", "text": "a"}\n{"_id": "\xff"}\n')
    with pytest.raises(UsageError, match=r"corpus\.jsonl:2 is not UTF-8"):
        load_beir(folder)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    folder = _write(tmp_path)
    file = folder / "qrels" / "test.tsv"
    file.write_bytes(b"\xef\xbb\xbfq1\td1\t1\r\n")
    assert load_beir(folder).qrels == {"q1": {"d1": 1}}


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(tmp_path, missing):
    folder = _write(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(UsageError, match=missing.replace(".", r"\.")):
        load_beir(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere is no folder"):
        load_beir(tmp_path / "nowhere")
