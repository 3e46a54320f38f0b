"""``gircse judgements``: what was said of hits, listed, taken along, brought back, deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.collections.library import Library
from indexer.evaluation.beir import load_beir
from indexer.evaluation.judgement_book import JudgementBook


@pytest.fixture
def judged(gircse, notes: Path) -> Path:
    """A collection "work" with two judged queries; returns the folder of its documents."""
    gircse.ok("index", notes, "-c", "work", "--quiet")
    with Library(gircse.home).open("work") as collection:
        by_name = {Path(one.source).name: one for one in collection.store.documents()}
        book = JudgementBook(collection.directory)
        bread = by_name["bread.md"]
        (chunk,) = collection.store.chunks(bread.id)
        book.judge("how long does dough rest", bread, chunk, 1)
        book.judge("how long does dough rest", bread, replace(chunk, text="Bake the loaf."), 0)
        book.judge("renew my passport", by_name["passport.txt"], None, 1)
    return notes


def test_they_are_listed(gircse, judged: Path) -> None:
    text = gircse.ok("judgements", "list", "work")
    assert "how long does dough rest" in text
    first, second = gircse.json("judgements", "list", "work")
    assert [one["grade"] for one in first["judgements"]] == [1, 0]
    assert second["judgements"][0]["source"].endswith("passport.txt")
    assert second["judgements"][0]["passage"] is None


def test_none_are_there_yet(gircse, notes: Path) -> None:
    gircse.ok("index", notes, "-c", "work", "--quiet")
    assert "No hit of 'work' was judged yet" in gircse("judgements", "list", "work").stderr
    result = gircse("judgements", "export", "work", "out")
    assert result.exit_code == 2
    assert "nothing to write" in result.stderr


def test_they_go_out_and_come_back(gircse, judged: Path) -> None:
    assert "2 queries" in gircse.ok("judgements", "export", "work", "out")
    assert gircse("judgements", "export", "work", "out").exit_code == 2  # it is not empty
    assert gircse.ok("judgements", "delete", "work", "--yes")
    assert gircse.json("judgements", "list", "work") == []
    assert "Added 2 judgements of 2 queries" in gircse.ok("judgements", "import", "work", "out")
    texts = [one["text"] for one in gircse.json("judgements", "list", "work")]
    assert texts == ["how long does dough rest", "renew my passport"]


def test_with_documents_they_are_a_judged_set(gircse, judged: Path) -> None:
    gircse.ok("judgements", "export", "work", "out", "--documents")
    found = load_beir(Path("out"))
    assert len(found.documents) == 3
    assert sorted(found.queries.values()) == ["how long does dough rest", "renew my passport"]
    report = gircse.json("eval", "out", "--mode", "lexical")
    (run,) = report["sets"][0]["runs"]
    assert run["figures"]["ndcg@10"]["mean"] == 1.0


def test_some_are_deleted(gircse, judged: Path) -> None:
    result = gircse("judgements", "delete", "work", "never asked", "--yes")
    assert result.exit_code == 2
    assert "no query 'never asked' was judged" in result.stderr
    gircse.ok("judgements", "delete", "work", "renew  my passport", "--yes")
    (left,) = gircse.json("judgements", "list", "work")
    gircse("judgements", "delete", "work", left["id"], input="n\n")
    assert len(gircse.json("judgements", "list", "work")) == 1


def test_they_outlive_a_rebuild_and_go_with_the_collection(gircse, judged: Path) -> None:
    gircse.ok("reindex", "work", "--steps", "0")
    gircse.ok("index", judged, "-c", "work", "--quiet")
    assert len(gircse.json("judgements", "list", "work")) == 2
    assert "belongs to nothing" not in gircse("verify", "work").output
    gircse.ok("collections", "delete", "work", "--yes")
    gircse.ok("index", judged, "-c", "work", "--quiet")
    assert gircse.json("judgements", "list", "work") == []
