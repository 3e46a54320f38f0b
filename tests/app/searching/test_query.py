from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from app import resources
from app.searching.hits import document_place, hit_html
from app.searching.latency import latency_text
from app.searching.query import PAGE_SIZE, Query, is_outdated, more, path_pattern, refine
from app.services import Services
from indexer.collections.library import Library
from indexer.embedder import Embedder, ModelError, ModelInfo, load_embedder, model_info
from indexer.errors import CollectionNotFoundError, FingerprintMismatchError
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.app.asking import ask
from tests.app.conftest import DOCUMENTS, FEW, BuildServices
from tests.app.doubles import GatedEmbedder
from tests.app.waiting import wait_until

QUERY = Query("default", "electrics die as soon as I bake a pie")


@pytest.fixture
def searched(
    filled_home: Path,
    build_services: BuildServices,
    minilm: Embedder,
    monkeypatch: pytest.MonkeyPatch,
) -> Services:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)
    built = build_services()
    built.models.get("gircse-minilm")
    return built


def test_a_question_finds_the_passage_that_says_it_in_other_words(searched: Services) -> None:
    answer = ask(searched, replace(QUERY, mode="dense"))
    assert answer.notice == ""
    assert answer.hits[0].document.source.endswith("when-the-breaker-trips.pdf")
    assert answer.result.steps == 5
    assert "in all: reading" in latency_text(answer.result)
    assert "5 steps of" in latency_text(answer.result)


@pytest.fixture
def older_home(home: Path, minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a collection of before the default model could refine."""
    with monkeypatch.context() as patch:
        patch.setattr("gircse_core.registry._SHIPPED", home / "nothing-shipped")
        untrained = load_embedder("gircse-minilm")
        assert untrained.info.max_steps == 0
        with Library(home).create("default", model="gircse-minilm") as collection:
            paths = [DOCUMENTS / name for name in FEW]
            index_paths(collection, paths, embedder=lambda: untrained, options=IndexOptions())
    return home


@pytest.mark.parametrize(("asked", "used"), [(None, 0), (0, 0), (5, 5)])
def test_collections_without_refinement_are_still_searched_and_grow(
    older_home: Path,
    build_services: BuildServices,
    minilm: Embedder,
    monkeypatch: pytest.MonkeyPatch,
    asked: int | None,
    used: int,
) -> None:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)
    built = build_services()
    built.models.get("gircse-minilm")
    built.add_path("default", built.check_path(str(DOCUMENTS / "garden" / "compost.md")))
    wait_until(lambda: not built.worker.activity().is_busy)
    with built.collections.use("default") as collection:
        assert collection.ledger.totals().states == {"ready": len(FEW) + 1}
        assert collection.config.steps == 0
    answer = ask(built, replace(QUERY, text="limescale in the cartridge", steps=asked))
    assert answer.notice == ""
    assert answer.result.steps == used
    assert answer.hits[0].document.source.endswith("dripping-tap.md")


def test_more_hits_follow_without_repeating_any(searched: Services) -> None:
    answer = ask(searched, QUERY)
    assert len(answer.hits) == PAGE_SIZE
    while not answer.is_complete:
        answer = more(searched, answer)
    ids = [hit.chunk.id for hit in answer.hits]
    assert len(ids) == len(set(ids)) == answer.result.total_chunks
    assert [hit.rank for hit in answer.hits] == list(range(1, len(ids) + 1))


def test_pages_go_on_with_the_steps_of_the_first(searched: Services) -> None:
    for query in (
        replace(QUERY, effort="budget", budget_ms=60_000.0),
        replace(QUERY, effort="auto"),
        replace(QUERY, grouping="document"),
    ):
        answer = ask(searched, query)
        whole = answer
        while not whole.is_complete:
            whole = more(searched, whole)
        assert whole.result.steps == answer.result.steps
        assert whole.hits[: len(answer.hits)] == answer.hits
        ids = [hit.chunk.id for hit in whole.hits]
        assert len(ids) == len(set(ids))


def test_answers_come_step_by_step_and_can_be_left(searched: Services) -> None:
    with closing(refine(searched, replace(QUERY, steps=20))) as answers:
        first, second = next(answers), next(answers)
    assert (first.result.steps, second.result.steps) == (0, 1)
    assert not first.is_final
    with searched.collections.use("default") as collection:
        assert len(collection.store) > 0  # it was given back, and is open for others
    *_, last = refine(searched, replace(QUERY, steps=3))
    assert last.is_final


def test_dates_are_whole_days(searched: Services) -> None:
    where = replace(QUERY, after=date(2024, 1, 31), before=date(2024, 1, 31)).where()
    assert where is not None
    assert where.modified_after == datetime(2024, 1, 31).timestamp()
    assert where.modified_before == datetime(2024, 2, 1).timestamp()


def test_what_users_wait_for_is_what_the_slider_promises(searched: Services) -> None:
    before = searched.models.status("gircse-minilm").timing
    assert before is not None
    for _ in range(6):
        searched.models.note_query("gircse-minilm", [500.0, 400.0, 400.0])
    after = searched.models.status("gircse-minilm").timing
    assert after is not None
    assert (after.first_ms, after.step_ms) == (500.0, 400.0)
    for _ in range(6):
        ask(searched, QUERY)
    again = searched.models.status("gircse-minilm").timing
    assert again is not None
    assert again.step_ms < 400.0


def test_filters_hold(searched: Services) -> None:
    by_type = ask(searched, replace(QUERY, media_types=("pdf",)))
    assert {hit.document.media_type for hit in by_type.hits} == {"pdf"}
    by_path = ask(searched, replace(QUERY, path="breaker"))
    assert {Path(hit.document.source).name for hit in by_path.hits} == {
        "when-the-breaker-trips.pdf"
    }
    assert ask(searched, replace(QUERY, path="no such folder")).hits == ()


@pytest.mark.parametrize(
    ("typed", "pattern"),
    [("", None), ("  ", None), ("docs", "*docs*"), ("*/a/*.md", "*/a/*.md"), (" a b ", "*a b*")],
)
def test_what_is_typed_becomes_a_pattern(typed: str, pattern: str | None) -> None:
    assert path_pattern(typed) == pattern


def test_words_alone_count_while_the_model_loads(
    filled_home: Path,
    build_services: BuildServices,
    minilm: Embedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = GatedEmbedder(minilm)

    def load(name: str, **_: object) -> Embedder:
        assert gate.gate.wait(30)
        return gate

    monkeypatch.setattr(resources, "load_embedder", load)
    built = build_services()
    answer = ask(built, replace(QUERY, text="limescale"))
    assert "still loading" in answer.notice
    assert answer.query.mode == "lexical"
    assert answer.hits
    gate.gate.set()
    wait_until(lambda: built.models.status("gircse-minilm").state == "ready")
    assert ask(built, QUERY).notice == ""


def test_words_alone_count_when_the_model_is_broken(
    filled_home: Path, build_services: BuildServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, **_: object) -> Embedder:
        raise ModelError("its weights are damaged; run `gircse model verify`")

    monkeypatch.setattr(resources, "load_embedder", load)
    built = build_services()
    wait_until(lambda: built.models.status("gircse-minilm").state == "failed")
    answer = ask(built, replace(QUERY, text="limescale"))
    assert "gircse model verify" in answer.notice
    assert answer.hits


def test_a_model_that_was_exchanged_is_refused(
    searched: Services, refining_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = resources.load_embedder(str(refining_model))
    monkeypatch.setattr(
        type(searched.models), "get", lambda self, name: _Other(other, refining_model)
    )
    with pytest.raises(FingerprintMismatchError, match="other settings"):
        ask(searched, QUERY)


class _Other(GatedEmbedder):
    def __init__(self, embedder: Embedder, folder: Path) -> None:
        super().__init__(embedder)
        self._info = model_info(str(folder))

    @property
    def info(self) -> ModelInfo:
        return self._info


def test_an_answer_knows_when_documents_came_or_went(searched: Services) -> None:
    answer = ask(searched, QUERY)
    assert not is_outdated(searched, answer)
    searched.add_path("default", searched.check_path(str(DOCUMENTS / "garden" / "compost.md")))
    wait_until(lambda: not searched.worker.activity().is_busy)
    assert is_outdated(searched, answer)


def test_a_collection_deleted_elsewhere_is_named(searched: Services, filled_home: Path) -> None:
    ask(searched, QUERY)
    Library(filled_home).delete("default")
    with pytest.raises(CollectionNotFoundError, match="default"):
        ask(searched, QUERY)


def test_a_collection_made_anew_elsewhere_is_opened_anew(
    searched: Services, filled_home: Path
) -> None:
    assert ask(searched, QUERY).hits
    library = Library(filled_home)
    library.delete("default")
    library.create("default", model="gircse-minilm").close()
    assert ask(searched, QUERY).hits == ()


def test_a_hit_says_where_it_is_from_and_how_it_was_scored(searched: Services) -> None:
    answer = ask(searched, Query("default", "thaw meat in the refrigerator"))
    hit = answer.hits[0]
    html = hit_html(hit, searched.uploads)
    assert f"page {hit.chunk.page}" in html
    assert "storing-food-safely.pdf" in html
    assert "<mark>" in html
    assert "meaning 0." in html
    assert "(rank 1)" in html


def test_a_hostile_document_is_only_text(searched: Services) -> None:
    (hit, *_) = ask(searched, QUERY).hits
    chunk = replace(hit.chunk, text="<script>alert(1)</script> tap", context="<b>x</b>")
    document = replace(hit.document, title="<img src=x>", source='/d/"><img src=x onerror=1>.md')
    html = hit_html(replace(hit, chunk=chunk, document=document, highlights=()), searched.uploads)
    assert "<script" not in html
    assert "<img" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; tap" in html


def test_uploads_are_told_from_other_files(searched: Services) -> None:
    root = searched.uploads.root
    assert document_place(str(root / "default" / "ab12" / "a.pdf"), searched.uploads) == "uploaded"
    assert document_place("/docs/a.pdf", searched.uploads) == "/docs"
    assert document_place(f"{Path.home()}/docs/a.pdf", searched.uploads) == "~/docs"
