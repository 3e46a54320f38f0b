"""What users said of hits: kept, changed, taken back, and read as BEIR."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from indexer.documents import Chunk
from indexer.errors import CollectionBusyError, StorageError, UsageError
from indexer.evaluation import judgement_book
from indexer.evaluation.judgement_book import JudgementBook, passage_key
from indexer.evaluation.judgement_export import judgement_files, write_files
from indexer.evaluation.judgements import Judgements, read_judgements
from indexer.stores.base import DocumentRecord

TAP, LEASE = "/data/home/tap.md", "/data/work/lease.pdf"


def record(source: str, identifier: str = "") -> DocumentRecord:
    return DocumentRecord(
        identifier or f"id-{Path(source).stem}", source, "Title", "markdown", 0.0, 1, 1
    )


def chunk(document: DocumentRecord, text: str, start: int = 0) -> Chunk:
    return Chunk(
        f"{document.id}-{start}", document.id, text, start, start + len(text), None, "Title"
    )


@pytest.fixture
def book(tmp_path: Path) -> JudgementBook:
    return JudgementBook(tmp_path)


def test_nothing_was_said_yet(book: JudgementBook) -> None:
    assert book.queries() == ()
    assert book.query("a dripping tap") is None
    assert book.judgements([record(TAP)])[0].queries == {}
    assert not book.folder.exists()


def test_a_document_counts_by_its_best_passage(book: JudgementBook, tmp_path: Path) -> None:
    tap, lease = record(TAP), record(LEASE)
    book.judge("a dripping  tap", tap, chunk(tap, "Turn the water off."), 0)
    book.judge("a dripping tap ", tap, chunk(tap, "Change the washer.", 30), 1)
    book.judge("a dripping tap", lease, chunk(lease, "Rent is due."), 0)

    (query,) = book.queries()
    assert query.text == "a dripping tap"
    assert query.grades == {"id-tap": 1, "id-lease": 0}
    assert query.grade_of("id-tap", passage_key(chunk(tap, "Turn the water off."))) == 0
    # where the passage stands does not matter, what it says does
    assert query.grade_of("id-tap", passage_key(chunk(tap, "Change the washer.", 77))) == 1
    assert query.grade_of("id-tap", passage_key(chunk(tap, "Another text."))) is None
    # and it is a folder that every reader of BEIR files takes
    read = read_judgements(book.folder, [tap, lease])
    assert read.queries == {query.id: "a dripping tap"}
    assert read.qrels == {query.id: {"id-tap": 1, "id-lease": 0}}


def test_a_judgement_is_changed_and_taken_back(book: JudgementBook) -> None:
    tap = record(TAP)
    passage = chunk(tap, "Change the washer.")
    for grade in (1, 0, 1):
        book.judge("a tap", tap, passage, grade)
        assert book.query("a tap").grades == {"id-tap": grade}
    book.judge("a tap", tap, passage, None)
    assert book.queries() == ()
    assert (book.folder / "qrels/test.tsv").read_text() == "query-id\tcorpus-id\tscore\n"


def test_queries_are_forgotten_by_text_or_id(book: JudgementBook) -> None:
    tap = record(TAP)
    for text in ("one", "two", "three"):
        book.judge(text, tap, None, 1)
    assert book.forget("two")
    assert book.forget(book.query("three").id)
    assert not book.forget("four")
    assert [query.text for query in book.queries()] == ["one"]


def test_documents_that_are_gone_are_counted_and_those_that_moved_are_found(
    book: JudgementBook,
) -> None:
    tap, lease = record(TAP), record(LEASE)
    book.judge("a tap", tap, chunk(tap, "Change the washer."), 1)
    book.judge("rent", lease, chunk(lease, "Rent is due."), 1)
    moved = record("/elsewhere/tap.md", "another-id")

    found, missing = book.judgements([moved])

    assert list(found.qrels.values()) == [{"another-id": 1}]
    assert missing == 1
    # of two with that name neither is taken for it
    found, missing = book.judgements([moved, record("/third/tap.md", "third")])
    assert (found.queries, missing) == ({}, 2)


def test_only_queries_with_an_answer_measure_anything(book: JudgementBook) -> None:
    tap = record(TAP)
    book.judge("no answer", tap, chunk(tap, "Change the washer."), 0)
    found, missing = book.judgements([tap])
    assert (found.queries, missing) == ({}, 0)
    assert len(book.queries()) == 1


def test_threads_and_books_do_not_lose_each_others_words(tmp_path: Path) -> None:
    tap = record(TAP)

    def judge(number: int) -> None:
        JudgementBook(tmp_path).judge(f"query {number}", tap, chunk(tap, str(number)), 1)

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {query.text for query in JudgementBook(tmp_path).queries()} == {
        f"query {number}" for number in range(12)
    }


def test_a_lock_that_is_held_too_long_is_named(
    book: JudgementBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgement_book, "_PATIENCE_S", 0.1)
    tap = record(TAP)
    book.judge("one", tap, None, 1)
    with (
        FileLock(book.folder / ".lock"),
        pytest.raises(CollectionBusyError, match="held by another process"),
    ):
        book.judge("two", tap, None, 1)
    assert [query.text for query in book.queries()] == ["one"]


@pytest.mark.parametrize("fails_at", ["queries.jsonl", "test.tsv"])
def test_a_write_that_fails_leaves_whole_files(
    book: JudgementBook, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    tap = record(TAP)
    book.judge("one", tap, None, 1)
    before = {
        name: (book.folder / name).read_text() for name in ("queries.jsonl", "qrels/test.tsv")
    }
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.name == fails_at:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match="the disk is full"):
        book.judge("two", tap, None, 1)
    monkeypatch.undo()

    texts = [query.text for query in book.queries()]
    assert texts == (["one"] if fails_at == "queries.jsonl" else ["one", "two"])
    assert (book.folder / "qrels/test.tsv").read_text() == before["qrels/test.tsv"]
    book.judge("three", tap, None, 1)  # the next one makes both files agree again
    read = read_judgements(book.folder, [tap])
    assert list(read.queries.values()) == [*texts, "three"]


def test_a_damaged_file_is_named_with_its_line(book: JudgementBook) -> None:
    book.judge("one", record(TAP), None, 1)
    file = book.folder / "queries.jsonl"
    file.write_text(file.read_text() + '{"_id": "x"}\n')
    with pytest.raises(StorageError, match=r"queries.jsonl:2 is no judged query"):
        book.queries()


@pytest.mark.parametrize(
    "passage",
    [
        None,
        {"grade": float("inf")},
        {"judged_at": 10**400},
        {"judged_at": float("inf")},
        {"judged_at": float("nan")},
        {"judged_at": 1e300},
    ],
)
def test_judgements_that_could_not_be_shown_are_refused(
    book: JudgementBook, passage: dict[str, float] | None
) -> None:
    book.judge("one", record(TAP), None, 1)
    file = book.folder / "queries.jsonl"
    line = json.loads(file.read_text())
    known = line["metadata"]["passages"]
    line["metadata"]["passages"] = [] if passage is None else [known[0] | passage]
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(StorageError, match=r"queries.jsonl:1 is no judged query"):
        book.queries()


def test_what_makes_no_sense_is_refused(book: JudgementBook) -> None:
    with pytest.raises(UsageError, match="the query is empty"):
        book.judge(" \n", record(TAP), None, 1)
    with pytest.raises(UsageError, match="grade is -1"):
        book.judge("one", record(TAP), None, -1)
    assert book.queries() == ()


def test_judgements_of_whole_documents_are_taken_in(book: JudgementBook) -> None:
    tap, lease = record(TAP), record(LEASE)
    judged = Judgements("mine", {"q7": "a tap"}, {"q7": {"id-tap": 2, "id-lease": -1}})
    assert book.add(judged, [tap, lease]) == 2
    assert book.query("a tap").grades == {"id-tap": 2, "id-lease": 0}
    assert book.add(judged, [tap, lease]) == 2  # again: not twice
    assert len(book.query("a tap").passages) == 2


def test_what_is_exported_can_be_read_and_taken_in_again(
    book: JudgementBook, tmp_path: Path
) -> None:
    tap, odd = record(TAP), record("/data/odd\tname.md", "id-odd")
    book.judge("a „dripping“ tap", tap, chunk(tap, "Change the washer."), 1)
    book.judge("odd", odd, None, 1)
    files = judgement_files(book)
    assert f"\t{TAP}\t1" in files["qrels/test.tsv"]
    assert "\tid-odd\t1" in files["qrels/test.tsv"]
    write_files(tmp_path / "out", files)
    read = read_judgements(tmp_path / "out", [tap, odd])
    assert sorted(read.queries.values()) == ["a „dripping“ tap", "odd"]
    for line in files["queries.jsonl"].splitlines():
        assert set(json.loads(line)) == {"_id", "text"}
