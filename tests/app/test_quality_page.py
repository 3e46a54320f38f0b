"""Judging hits, and the quality page, headless."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import resources
from app.errors import ReadOnlyError
from app.quality.evaluations import Subject
from app.quality.judging import judge, judged_as
from app.quality.measuring import is_current, make_default
from app.services import Services
from indexer.collections.library import Library
from indexer.embedder import Embedder
from indexer.errors import CollectionNotFoundError, StaleCollectionError
from indexer.evaluation import latency, plan
from indexer.evaluation.judgement_book import JudgementBook
from indexer.reindexing.request import ReindexRequest
from indexer.reindexing.run import reindex
from indexer.searching.search import Hit, SearchRequest
from tests.app.pages import QUALITY, charts, page
from tests.app.waiting import wait_until

QUESTIONS = (
    "dripping tap", "limescale in the cartridge", "electrics die as soon as I bake a pie",
    "thaw meat in the refrigerator", "how cold does the refrigerator have to be",
    "which breaker trips", "washer of a tap", "how long does food keep", "turn off the water",
    "short circuit", "leftovers in the freezer",
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("shared_services")


@pytest.fixture(autouse=True)
def _quick(minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)
    monkeypatch.setattr(latency, "SAMPLE", 2)
    monkeypatch.setattr(plan, "DEFAULT_STEPS", (0, 1, 2))


@pytest.fixture
def ready(filled_home: Path, shared_services: Callable[[], Services]) -> Services:
    services = shared_services()
    services.models.get("gircse-minilm")
    return services


def hits(services: Services, question: str) -> tuple[Hit, ...]:
    return services.search("default", SearchRequest(question, top_k=3, steps=0)).hits


def subject(services: Services, judged_by: str = "") -> Subject:
    with services.collections.use("default") as opened:
        return Subject("default", opened.id, judged_by)


def judge_all(services: Services, questions: tuple[str, ...] = QUESTIONS) -> None:
    for question in questions:
        first, second, _ = hits(services, question)
        judge(services, "default", question, first, True)
        judge(services, "default", question, second, False)


def measured(services: Services, subject: Subject) -> AppTest:
    services.evaluations.start(subject)
    wait_until(lambda: not services.evaluations.status(subject).is_busy)
    assert services.evaluations.status(subject).problem == ""
    return page(QUALITY)


def button(test: AppTest, label: str):
    return next(one for one in test.button if one.label.startswith(label))


def test_what_is_said_of_a_hit_is_kept_per_question_and_passage(ready: Services) -> None:
    first, second, _ = hits(ready, "dripping tap")
    assert judged_as(ready, "default", "dripping tap", first) is None
    judge(ready, "default", "dripping tap", first, True)
    judge(ready, "default", "dripping  tap", second, False)
    assert judged_as(ready, "default", " dripping tap", first) is True
    assert judged_as(ready, "default", "dripping tap", second) is False
    assert judged_as(ready, "default", "another question", first) is None
    judge(ready, "default", "dripping tap", first, None)
    assert judged_as(ready, "default", "dripping tap", first) is None


def _judging_page(question: str) -> None:
    from app.pages.judging import judge_hit
    from app.resources import services
    from indexer.searching.search import SearchRequest

    parts = services()
    for hit in parts.search("default", SearchRequest(question, top_k=2, steps=0)).hits:
        judge_hit(parts, "default", question, hit)


def test_thumbs_are_as_they_were_left(ready: Services) -> None:
    test = AppTest.from_function(_judging_page, args=("dripping tap",), default_timeout=30).run()
    assert not test.exception
    assert [one.value for one in test.caption] == ["Does it answer?"] * 2
    assert len(test.feedback) == 2
    test.feedback[0].set_value(1).run()
    test.feedback[1].set_value(0).run()
    assert not test.exception
    assert [one.value for one in test.caption] == ["Judged as an answer", "Judged as no answer"]
    again = AppTest.from_function(_judging_page, args=("dripping tap",), default_timeout=30).run()
    assert [one.value for one in again.feedback] == [1, 0]
    # another tab takes one back: what is kept counts
    judge(ready, "default", "dripping tap", hits(ready, "dripping tap")[0], None)
    again.run()
    assert [one.value for one in again.feedback] == [None, 0]


def test_a_read_only_app_has_no_thumbs(
    filled_home: Path, monkeypatch: pytest.MonkeyPatch, shared_services: Callable[[], Services]
) -> None:
    monkeypatch.setenv("GIRCSE_READ_ONLY", "true")
    services = shared_services()
    first = hits(services, "dripping tap")[0]
    with pytest.raises(ReadOnlyError):
        judge(services, "default", "dripping tap", first, True)
    test = AppTest.from_function(_judging_page, args=("dripping tap",), default_timeout=30).run()
    assert not test.exception
    assert not test.feedback
    test = page(QUALITY)
    assert not test.exception
    assert not any("Add a judged set" in one.label for one in test.expander)
    assert not any(one.label.startswith("Measure") for one in test.button)
    with pytest.raises(ReadOnlyError):
        services.measure(subject(services))


def test_an_empty_library_says_what_to_do(home: Path) -> None:
    test = page(QUALITY)
    assert not test.exception
    assert "no collection yet" in test.info[0].value


def test_before_anything_is_judged_it_says_how(ready: Services) -> None:
    test = page(QUALITY)
    assert not test.exception
    assert "No hit of this collection has been judged yet" in test.info[0].value
    assert button(test, "Measure").disabled


def test_thumbs_down_alone_measure_nothing(ready: Services) -> None:
    judge(ready, "default", "dripping tap", hits(ready, "dripping tap")[0], False)
    test = page(QUALITY)
    assert not test.exception
    assert "no query has a document that answers it" in test.info[0].value
    assert button(test, "Measure").disabled


def test_judging_feeds_the_plot_and_the_knee_becomes_the_default(ready: Services) -> None:
    judge_all(ready)
    test = page(QUALITY)
    assert "11 judged queries · 11 thumbs up · 11 thumbs down" in test.caption[0].value
    button(test, "Measure").click().run()
    assert not test.exception
    wait_until(lambda: ready.evaluations.status(subject(ready)).measured is not None)
    test = page(QUALITY)
    assert not test.exception
    first, second = charts(test)
    assert first.startswith("nDCG@10 by meaning and words with 95 % intervals. 0 steps, ")
    assert "The knee is at" in second
    curve = ready.evaluations.status(subject(ready)).measured.curve
    assert [point.steps for point in curve.hybrid] == [0, 1, 2, 5]  # 5 is what is in use
    knee = curve.knee("hybrid").steps
    assert knee != 5
    button(test, f"Make {knee} step").click().run()
    assert not test.exception
    assert f"is searched with {knee} step" in test.success[0].value
    with Library(ready.library.home).open("default") as collection:
        assert collection.query_steps() == knee
    assert not any(one.label.startswith("Make ") for one in test.button)


def test_few_judgements_are_said_to_be_few(ready: Services) -> None:
    judge_all(ready, QUESTIONS[:2])
    test = measured(ready, subject(ready))
    assert not test.exception
    assert "Few judged queries (2)" in test.info[0].value.replace("\\", "")
    assert len(charts(test)) == 2


def test_a_measurement_of_a_collection_that_was_rebuilt_is_not_acted_upon(
    ready: Services, minilm: Embedder
) -> None:
    judge_all(ready, QUESTIONS[:2])
    test = measured(ready, subject(ready))
    status = ready.evaluations.status(subject(ready))
    with Library(ready.library.home).open("default") as collection:
        assert reindex(collection, ReindexRequest(steps=1), embedder=lambda name: minilm).outcome
    assert not is_current(ready, "default", status.measured)
    with pytest.raises(StaleCollectionError, match="measure it again"):
        make_default(ready, "default", status.measured, steps=0)
    test = page(QUALITY)
    assert not test.exception
    assert any("rebuilt since" in one.value for one in test.info)
    assert not charts(test)


def test_a_failed_measurement_says_why(ready: Services) -> None:
    ready.evaluations.start(subject(ready))
    wait_until(lambda: ready.evaluations.status(subject(ready)).state == "failed")
    test = page(QUALITY)
    assert not test.exception
    assert "No hit has been judged as an answer yet" in test.error[0].value


def test_what_was_said_can_be_taken_back(ready: Services, filled_home: Path) -> None:
    judge_all(ready, QUESTIONS[:3])
    test = page(QUALITY)
    assert not test.exception
    assert any(one.label == "What was judged" for one in test.expander)
    frame = test.dataframe[0].value
    assert sorted(frame["Query"]) == sorted(QUESTIONS[:3])
    assert list(frame["Thumbs up"]) == [1, 1, 1]


def archive(corpus: bool) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        if corpus:
            made.writestr(
                "corpus.jsonl",
                "".join(
                    json.dumps({"_id": f"d{number}", "text": f"{text} is told here."}) + "\n"
                    for number, text in enumerate(QUESTIONS)
                ),
            )
        made.writestr(
            "queries.jsonl",
            "".join(
                json.dumps({"_id": f"q{number}", "text": text}) + "\n"
                for number, text in enumerate(QUESTIONS)
            ),
        )
        made.writestr(
            "qrels/test.tsv",
            "".join(
                f"q{number}\t{f'd{number}' if corpus else 'dripping-tap.md'}\t1\n"
                for number in range(len(QUESTIONS))
            ),
        )
    return out.getvalue()


@pytest.mark.parametrize("corpus", [True, False])
def test_a_set_that_is_uploaded_is_measured(ready: Services, corpus: bool) -> None:
    test = page(QUALITY)
    test.file_uploader[0].set_value(("faq.zip", archive(corpus), "application/zip")).run()
    assert not test.exception
    assert not test.error
    assert test.selectbox(key="judged-by").value == "faq"
    button(test, "Measure").click().run()
    faq = subject(ready, "faq")
    wait_until(lambda: not ready.evaluations.status(faq).is_busy)
    assert ready.evaluations.status(faq).problem == ""
    test.run()
    assert not test.exception
    assert len(charts(test)) == 2
    figures = ready.evaluations.status(faq).measured.curve.dense[0].figures
    if corpus:
        assert figures["ndcg@10"].mean > 0.9  # each document says what is asked for
    button(test, "Remove this set").click().run()
    assert not test.exception
    assert test.selectbox(key="judged-by").value == ""
    assert ready.sets.all() == []


def test_what_is_no_set_is_refused(ready: Services) -> None:
    test = page(QUALITY)
    test.file_uploader[0].set_value(("x.zip", b"nothing", "application/zip")).run()
    assert not test.exception
    assert "is no ZIP file" in test.error[0].value.replace("\\", "")
    test = page(QUALITY)
    test.text_input[0].set_value("/nowhere/at/all")
    button(test, "Add folder").click().run()
    assert not test.exception
    assert "nowhere" in test.error[0].value


def test_a_folder_is_taken(ready: Services, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with zipfile.ZipFile(io.BytesIO(archive(False))) as made:
        made.extractall(folder)
    test = page(QUALITY)
    test.text_input[0].set_value(str(folder))
    button(test, "Add folder").click().run()
    assert not test.exception
    assert test.selectbox(key="judged-by").value == "mine"
    assert "judges documents of the collection" in " ".join(one.value for one in test.caption)


def test_a_download_has_what_is_judged_by_then_and_fails_when_nothing_is_left(
    ready: Services,
) -> None:
    judge_all(ready, QUESTIONS[:1])
    (link,) = page(QUALITY).get("link_button")
    offer = ready.downloads.find(link.proto.url.rpartition("/")[2])
    assert offer is not None
    judge_all(ready, QUESTIONS[1:2])
    with zipfile.ZipFile(io.BytesIO(offer.read())) as packed:
        queries = packed.read("queries.jsonl").decode().splitlines()
    assert len(queries) == 2
    measured(ready, subject(ready))
    assert any((ready.library.home / "quality").iterdir())
    ready.delete_collection("default")
    assert not any((ready.library.home / "quality").iterdir())
    with pytest.raises(CollectionNotFoundError):
        offer.read()


def test_judgements_are_beir_files_beside_the_collection(ready: Services) -> None:
    judge_all(ready, QUESTIONS[:1])
    with ready.collections.use("default") as opened:
        book = JudgementBook(opened.directory)
        assert (book.folder / "qrels/test.tsv").read_text().count("\n") == 2  # one document
        judgements, missing = book.judgements(opened.store.documents())
    assert (len(judgements.queries), missing) == (1, 0)
