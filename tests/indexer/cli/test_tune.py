"""``gircse tune`` from judged queries to the next search."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from indexer.collections.library import Library
from indexer.evaluation import latency
from indexer.evaluation.hybrid import fuse_by_default
from indexer.evaluation.judgements import read_judgements
from indexer.evaluation.tuning_sets import judged_collection
from indexer.searching.results import SearchRequest

SUBJECTS = [
    "bread", "tap", "lease", "garden", "bicycle", "passport", "boiler", "moth", "violin", "kettle",
    "ladder", "candle",
]  # fmt: skip


@pytest.fixture
def judged(gircse, tmp_path: Path) -> Path:
    """A collection "work" of a dozen documents, and a judged query for each of them."""
    documents, folder = tmp_path / "documents", tmp_path / "judgements"
    documents.mkdir()
    (folder / "qrels").mkdir(parents=True)
    queries, qrels = [], ["query-id\tcorpus-id\tscore"]
    for number, subject in enumerate(SUBJECTS):
        (documents / f"{subject}.txt").write_text(
            f"Notes on the {subject} and how a {subject} is kept.\n", encoding="utf-8"
        )
        queries.append(json.dumps({"_id": f"q{number}", "text": f"how to keep a {subject}"}))
        qrels.append(f"q{number}\tdocuments/{subject}.txt\t1")
    (folder / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels), encoding="utf-8")
    gircse.ok("index", documents, "-c", "work", "--quiet")
    return folder


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "SAMPLE", 2)


def test_tuning_reports_and_changes_nothing(gircse, judged: Path) -> None:
    result = gircse("tune", "work", "--judgements", judged)

    assert result.exit_code == 0, result.output
    assert "nDCG@10 of hybrid search (work: 12 queries)" in result.stdout
    assert re.search(r"best weight +with it +held out", result.stdout)
    assert "Advice: " in result.stdout
    assert "Nothing was changed; --apply" in result.stderr
    found = gircse.json("search", "keep a kettle", "-c", "work")
    assert found["dense_weight"] not in (0.0, 0.5, 1.0)  # automatic


def test_what_is_applied_is_how_the_collection_is_searched_until_it_is_reset(
    gircse, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = ("search", "keep a kettle", "-c", "work")
    automatic = gircse.json(*search)["dense_weight"]
    monkeypatch.setattr(
        "indexer.evaluation.tuning.StepOutcome.advised_weight", property(lambda outcome: 0.3)
    )

    report = gircse.json("tune", "work", "-j", judged, "--budget-ms", 60_000, "--apply")

    assert report["applied"] is True
    assert report["advised"] == {"dense_weight": 0.3, "steps": report["chosen_steps"]}
    assert gircse.json(*search)["dense_weight"] == 0.3
    assert gircse.json(*search)["steps"] == report["chosen_steps"]
    assert gircse.json(*search, "--dense-weight", "auto")["dense_weight"] == automatic
    assert gircse.json(*search, "--dense-weight", 0.8)["dense_weight"] == 0.8

    assert "searched by the defaults again" in gircse.ok("tune", "work", "--reset")
    assert gircse.json(*search)["dense_weight"] == automatic


def test_what_is_weighed_is_what_a_search_finds(gircse, judged: Path) -> None:
    with Library(gircse.home).open("work") as collection:
        judgements = read_judgements(judged, collection.store.documents())
        (step,) = {gircse.embedder.info.default_steps}
        found = judged_collection(
            collection,
            judgements,
            gircse.embedder,
            steps=(step,),
            on_progress=lambda progress: None,
        )
        searcher = collection.searcher(lambda: gircse.embedder)
        assert list(found.qrels) == list(judgements.queries)
        for legs, text in zip(found.legs[step], judgements.queries.values(), strict=True):
            hits = searcher.search(SearchRequest(text, top_k=50, steps=step)).hits
            fused = fuse_by_default(legs)
            assert [hit.chunk.id for hit in hits] == [one.chunk_id for one in fused]
            assert [hit.score for hit in hits] == pytest.approx([one.score for one in fused])
            documents = list(dict.fromkeys(hit.document.id for hit in hits))
            assert found.rank_documents(fused) == documents


def test_what_was_judged_in_the_app_is_tuned_by(gircse, judged: Path, tmp_path: Path) -> None:
    assert "Added 12 judgements of 12 queries" in gircse.ok("judgements", "import", "work", judged)

    own = gircse.json("tune", "work")
    given = gircse.json("tune", "work", "-j", judged)

    def figures(report) -> list[tuple[float, float]]:
        return [(one["automatic"], one["held_out"]) for one in report["outcomes"]]

    assert own["queries"] == {"work": 12}
    assert figures(own) == figures(given)
    gircse.ok("index", tmp_path / "documents", "-c", "work", "--quiet")
    (tmp_path / "documents/kettle.txt").unlink()
    gircse.ok("index", tmp_path / "documents", "-c", "work", "--quiet", "--prune")
    result = gircse("tune", "work")
    assert "1 judgement left out" in result.stderr
    assert "(work: 11 queries)" in result.stdout


def test_a_collection_is_evaluated_by_what_was_judged(gircse, judged: Path) -> None:
    result = gircse("eval", "--collection", "work")
    assert result.exit_code == 2
    assert "no hit of 'work' was judged as an answer yet" in result.stderr
    gircse.ok("judgements", "import", "work", judged)

    text = gircse.ok("eval", "-c", "work", "--steps", "0,3")
    report = gircse.json("eval", "-c", "work", "--steps", "0,3")

    assert "work: 12 judged queries" in text
    assert re.search(r"^meaning and words +3 +\d+ +[\d.]+ +[\d.]+ to [\d.]+", text, re.MULTILINE)
    assert "Knee: " in text
    assert [point["steps"] for point in report["hybrid"]] == [0, 3, report["query_steps"]]
    assert report["queries"] == 12
    given = gircse.json("eval", "-c", "work", "--steps", "0,3", "-j", judged)
    assert [one["figures"] for one in given["hybrid"]] == [
        one["figures"] for one in report["hybrid"]
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give judged sets, or --collection NAME"),
        (["-j", "x"], "give judged sets, or --collection NAME"),
        (["-c", "work", "--matrix"], "--matrix is of judged sets"),
        (["-c", "work", "my-set"], "DIR is of judged sets"),
        (["-c", "work", "--model", "m"], "--model is of judged sets"),
    ],
)
def test_sets_and_collections_are_not_mixed(gircse, arguments: list[str], words: str) -> None:
    result = gircse("eval", *arguments)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.stderr.split())


def test_judged_sets_bring_their_own_documents(gircse, judged: Path) -> None:
    with (judged / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for subject in SUBJECTS:
            entry = {"_id": f"documents/{subject}.txt", "text": f"Notes on the {subject}."}
            file.write(json.dumps(entry) + "\n")

    # the double embeds at one step count at a time; sets need a real model
    result = gircse("tune", "--judgements", judged, "--steps", "99")

    assert result.exit_code == 2
    assert "99 steps asked for" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "tuning needs a collection with judged hits, or --judgements DIR"),
        (["work"], "no hit of 'work' was judged as an answer yet"),
        (["--apply", "-j", "x"], "--apply and --reset need a collection"),
        (["--reset"], "--apply and --reset need a collection"),
        (["work", "--reset", "-j", "x"], "--reset goes alone"),
        (["work", "-j", "x", "-j", "y"], "give one folder of judgements for a collection"),
        (["work", "-j", "x", "--model", "m"], "a collection is searched with its own model"),
        (["work", "-j", "x"], "queries.jsonl cannot be read"),
        (["work", "-j", "{judged}", "--steps", "one"], "--steps holds 'one'"),
        (["work", "-j", "{judged}", "--budget-ms", "0.001"], "no search fits into 0.001 ms"),
    ],
)
def test_what_cannot_be_done_is_said(gircse, judged: Path, arguments: list[str], words: str):
    result = gircse("tune", *(part.format(judged=judged) for part in arguments))

    assert result.exit_code == 2, result.output
    assert words in " ".join(result.stderr.split())
