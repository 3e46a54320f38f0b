from __future__ import annotations

from app.work import outcomes
from app.work.outcomes import Outcomes
from indexer.indexing.index_report import FileOutcome
from indexer.storage.ledger import FileState


def outcome(source: str, state: FileState = "ready") -> FileOutcome:
    return FileOutcome(source=source, state=state)


def test_a_file_counts_once_by_what_became_of_it_last() -> None:
    known = Outcomes()
    known.note("notes", outcome("/a", "failed"))
    known.note("notes", outcome("/b"))
    known.note("notes", outcome("/a"))
    known.note("work", outcome("/a", "no_text"))
    assert [(file.collection, file.outcome.source) for file in known.latest()] == [
        ("work", "/a"),
        ("notes", "/a"),
        ("notes", "/b"),
    ]
    assert known.counts() == {("notes", "ready"): 2, ("work", "no_text"): 1}


def test_counts_go_on_where_only_the_latest_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(outcomes, "_KEPT", 2)
    known = Outcomes()
    for name in "abc":
        known.note("notes", outcome(name))
    assert [file.outcome.source for file in known.latest()] == ["c", "b"]
    assert known.counts() == {("notes", "ready"): 3}


def test_a_file_that_is_not_kept_any_more_counts_once_all_the_same(monkeypatch) -> None:
    monkeypatch.setattr(outcomes, "_KEPT", 2)
    known = Outcomes()
    for name in "abc":
        known.note("notes", outcome(name, "failed"))
    known.rename("notes", "papers")
    for name in "abc":
        known.note("papers", outcome(name))
    assert known.counts() == {("papers", "ready"): 3}
    known.forget("papers")
    known.note("papers", outcome("a"))
    assert known.counts() == {("papers", "ready"): 1}


def test_a_collection_is_forgotten_or_known_under_another_name() -> None:
    known = Outcomes()
    known.note("notes", outcome("/a"))
    known.note("work", outcome("/b"))
    known.rename("notes", "papers")
    assert {file.collection for file in known.latest()} == {"papers", "work"}
    assert known.counts() == {("papers", "ready"): 1, ("work", "ready"): 1}
    known.forget("papers")
    assert [file.outcome.source for file in known.latest()] == ["/b"]
    assert known.counts() == {("work", "ready"): 1}
