"""Whole rebuilds: what they change, what they keep, and what happens beside them."""

from __future__ import annotations

import shutil
import threading
import time

import pytest
from filelock import FileLock

from indexer.cli.reindex_report import note_text
from indexer.collections.generations import read_generations, rollback
from indexer.collections.search_defaults import SearchDefaults
from indexer.documents import embedding_text
from indexer.errors import CollectionBusyError, CollectionNotFoundError, StorageError, UsageError
from indexer.reindexing.difference import Pending
from indexer.reindexing.drafts import find_draft
from indexer.reindexing.rebuild_note import ask_to_cancel, read_note
from indexer.reindexing.request import IndexWish, ReindexRequest
from indexer.reindexing.run import plan_reindex, reindex
from indexer.searching.results import SearchRequest
from tests.indexer.reindexing.rebuilds import (
    Bench,
    SteppedEmbedder,
    live,
    other_weights,
    stepped_vector,
)


def stop_after(calls: int):
    """Return a wish to stop that comes up after so many questions."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


def test_an_index_is_rebuilt_without_a_model(bench: Bench):
    before = live(bench)
    texts = bench.texts()
    report = bench.reindex()
    assert report.outcome == "done"
    assert not report.plan.makes_content
    assert bench.asked == []
    after = live(bench)
    assert report.after == after
    assert (after.content, after.number) == (before.content, before.number + 1)
    assert read_generations(bench.directory).previous == before
    assert bench.texts() == texts
    bench.check()
    assert bench.folders() == {"content-1", "index-1", "index-2"}


def test_an_index_is_rebuilt_where_the_model_is_gone(bench: Bench):
    bench.models["fake"] = None  # nothing may ask for it
    del bench.models["fake"]
    with bench.open() as collection:
        from indexer.embedder import ModelNotFoundError

        def gone(name: str) -> object:
            raise ModelNotFoundError(f"there is no model {name}")

        report = reindex(collection, ReindexRequest(), embedder=gone, resolve=gone)
    assert report.outcome == "done"


def test_more_steps_are_a_new_content(bench: Bench):
    texts = bench.texts()
    report = bench.reindex(steps=3)
    assert report.outcome == "done"
    assert report.plan.changes == ("steps: 0 / 3",)
    assert report.embedded == len(set(texts.values())) == len(bench.asked)
    assert bench.texts() == texts  # chunks keep their ids
    bench.check()
    with bench.open() as collection:
        assert collection.config.steps == 3
        assert {made.info.name for made in bench.embedders} == {"fake"}
        assert {step for made in bench.embedders for step in made.steps} == {3}
    assert bench.index().unchanged == 24
    assert find_draft(bench.directory) is None
    assert not list(bench.directory.glob("*/draft.json"))
    assert bench.folders() == {"content-1", "index-1", "content-2", "index-2"}


def test_another_model_cuts_anew_and_takes_its_own_steps(bench: Bench):
    report = bench.reindex(model="other")
    assert report.plan.cuts_anew
    assert report.plan.settings.steps == 2
    assert report.reused == 0
    bench.check()
    with bench.open() as collection:
        assert collection.config.model == "other"


def test_a_model_trained_anew_is_taken_when_named(bench: Bench):
    other_weights(bench)
    report = bench.reindex()
    assert report.after is not None
    assert bench.asked == []
    assert "not what it was" in report.notes[0]
    report = bench.reindex(model="fake")
    assert report.plan.changes == ("weights: 0123 / 89ab",)
    assert bench.asked
    bench.check()
    with bench.open() as collection:
        collection.check_model(bench.models["fake"])


def test_other_chunks_keep_the_vectors_of_equal_texts(bench: Bench):
    bench.write("short.txt", "One short text that stays whole in any case.")
    bench.index()
    before = set(bench.texts().values())
    report = bench.reindex(max_tokens=60, overlap_tokens=0)
    after = set(bench.texts().values())
    assert report.plan.shares_vectors
    assert report.reused == len(after & before) > 0
    assert report.embedded == len(after - before) == len(bench.asked)
    bench.check()
    with bench.open() as collection:
        assert collection.config.chunking.max_tokens == 60
        assert collection.config.chunking.context_tokens == 20
    assert bench.index().unchanged == 25


def test_nothing_of_other_steps_is_reused(bench: Bench):
    report = bench.reindex(steps=2, max_tokens=60)
    assert not report.plan.shares_vectors
    assert report.reused == 0
    bench.check()


def test_settings_that_hold_already_make_an_index_only(bench: Bench):
    report = bench.reindex(steps=0, model="fake")
    assert not report.plan.makes_content
    assert "already" in report.notes[0]
    assert bench.asked == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": 21}, "refines by 0 to 20 steps, not 21"),
        ({"max_tokens": 20, "overlap_tokens": 19}, "overlap of 19"),
    ],
)
def test_impossible_requests_are_refused_before_anything_is_done(bench: Bench, asked, message):
    before = bench.folders()
    with pytest.raises(UsageError, match=message):
        bench.reindex(**asked)
    assert bench.folders() == before


def test_impossible_wishes_are_refused():
    with pytest.raises(UsageError, match="no store 'oracle'"):
        IndexWish(store="oracle")
    with pytest.raises(UsageError, match="--budget-ms is -1"):
        IndexWish(budget_ms=-1)
    with pytest.raises(UsageError, match="--index flat has chosen"):
        IndexWish(index="flat", budget_mb=100)
    assert IndexWish(budget_mb=100).index == "auto"


def test_a_stopped_rebuild_is_gone_on_with(bench: Bench):
    report = bench.reindex(steps=3, should_stop=stop_after(12))
    assert report.outcome == "stopped"
    assert 0 < report.embedded < report.chunks
    note = read_note(bench.directory)
    assert (note.state, note.is_running) == ("stopped", False)
    assert live(bench).number == 1
    bench.check()
    first = list(bench.asked)
    report = bench.reindex()  # says nothing: goes on
    assert report.outcome == "done"
    assert report.plan.draft is not None
    assert "Going on" in report.notes[0]
    assert len(bench.asked) == len(set(bench.asked))
    assert set(bench.asked) > set(first)
    assert read_note(bench.directory) is None
    bench.check()
    with bench.open() as collection:
        assert collection.config.steps == 3


def test_a_draft_with_other_settings_is_thrown_away(bench: Bench):
    bench.reindex(steps=3, should_stop=stop_after(12))
    draft = find_draft(bench.directory)
    report = bench.reindex(steps=4)
    assert report.plan.discards == draft.content
    assert report.plan.draft is None
    assert draft.content not in bench.folders() or live(bench).content == draft.content
    bench.check()
    with bench.open() as collection:
        assert collection.config.steps == 4


def test_a_content_whose_rebuild_was_killed_after_the_swap_is_no_draft_later(
    bench: Bench, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("indexer.reindexing.run.finish_draft", lambda directory, content: None)
        bench.reindex(steps=1)
    for steps in (2, 3):
        bench.reindex(steps=steps)
    assert find_draft(bench.directory) is None
    report = bench.reindex(wish=IndexWish(index="sqfp16"))
    assert not report.plan.makes_content
    with bench.open() as collection:
        assert collection.config.steps == 3
    bench.check()


def test_a_document_that_never_agrees_with_its_copy_ends_the_rebuild(bench: Bench, monkeypatch):
    monkeypatch.setattr(
        "indexer.reindexing.filling.ContentFilling.pending",
        lambda self: Pending(documents=1, chunks=1000, gone=0, files=1),
    )
    before = live(bench)
    with pytest.raises(StorageError, match=r"1 documents and 1 files .* still differ"):
        bench.reindex(steps=1)
    assert live(bench) == before


def test_a_draft_of_weights_that_changed_is_thrown_away(bench: Bench):
    bench.reindex(model="other", should_stop=stop_after(12))
    other_weights(bench, "other")
    report = bench.reindex()
    assert report.outcome == "done"
    assert report.plan.discards is not None
    with bench.open() as collection:
        collection.check_model(bench.models["other"])


def test_a_plan_writes_nothing(bench: Bench):
    def state() -> dict[str, object]:
        return {
            str(path.relative_to(bench.folder)): path.read_bytes() if path.is_file() else None
            for path in bench.folder.rglob("*")
            if not path.name.endswith(("-wal", "-shm"))
        }

    bench.reindex(steps=2, should_stop=stop_after(12))
    before = state()
    for request in [
        ReindexRequest(),
        ReindexRequest(steps=5),
        ReindexRequest(model="other"),
        ReindexRequest(wish=IndexWish(index="flat")),
    ]:
        with bench.open() as collection:
            planned = plan_reindex(collection, request, resolve=bench.resolve)
        assert planned.outcome == "planned"
        assert planned.documents == 24
    assert state() == before


def test_documents_that_change_meanwhile_are_in_the_new_generation(bench: Bench):
    bench.seconds_per_text = 0.01
    changed = threading.Event()

    def change(progress) -> None:
        if progress.phase == "embedding" and progress.done > 20 and not changed.is_set():
            changed.set()
            bench.write("03.md", "# Paper 3\n\nQuite another text by now.")
            bench.write("added.txt", "This file came while everything was embedded anew.")
            (bench.files / "05.md").unlink()
            (bench.files / "broken.pdf").unlink()
            bench.index()

    report = bench.reindex(steps=1, on_progress=change)
    assert changed.is_set()
    assert report.outcome == "done"
    bench.check()
    texts = " ".join(bench.texts().values())
    assert "Quite another text" in texts
    assert "This file came" in texts
    assert "Paper 5\n" not in texts
    with bench.open() as collection:
        sources = {row.source.rpartition("/")[2] for row in collection.ledger.rows()}
    assert {"added.txt", "empty.md"} <= sources
    assert not {"05.md", "broken.pdf"} & sources
    assert bench.index().unchanged == 24


def test_who_is_indexing_is_waited_for(bench: Bench):
    phases: list[tuple[str, str]] = []
    released = threading.Event()
    collection = bench.open()

    def note(progress) -> None:
        phases.append((progress.phase, progress.detail))
        if progress.phase == "waiting":
            released.set()

    def hold() -> None:
        with collection.write_lock("indexing"):
            begun.set()
            released.wait(30)
            bench_file = bench.files / "late.txt"
            bench_file.write_text("Written while the rebuild was waiting.")
            from indexer.indexing.index_report import IndexOptions
            from indexer.indexing.pipeline import index_paths

            index_paths(
                collection,
                [bench.files],
                embedder=lambda: SteppedEmbedder(bench.models["fake"]),
                options=IndexOptions(),
            )

    begun = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait(30)
    report = bench.reindex(steps=1, on_progress=note)
    thread.join()
    collection.close()
    assert report.outcome == "done"
    assert any(phase == "waiting" and "indexing, since" in text for phase, text in phases)
    assert any("Written while" in text for text in bench.texts().values())
    bench.check()


def search_once(collection, embedders) -> tuple[str, int]:
    """Search, and check that every hit has the vector of one and the same generation."""
    with collection.using() as generation:
        config = generation.config
        searcher = collection.searcher(lambda: embedders[config.model])
        result = searcher.search(SearchRequest("river stone", mode="hybrid"))
    assert result.fingerprint == config.fingerprint.as_dict()
    assert len(result.hits) == 10
    (step,) = embedders[config.model].refine("river stone", max_steps=result.steps)
    for hit in result.hits:
        expected = stepped_vector(config.model, config.steps, embedding_text(hit.chunk))
        assert hit.dense_score == pytest.approx(float(expected @ step.vector), abs=1e-5)
    return config.model, config.steps


@pytest.mark.parametrize("asked", [{}, {"steps": 2}, {"model": "other"}])
def test_searches_go_on_and_never_mix(bench: Bench, asked):
    bench.seconds_per_text = 0.002
    texts = set(bench.texts().values())
    errors: list[BaseException] = []
    seen: set[tuple[str, int]] = set()
    done = threading.Event()
    searched = threading.Semaphore(0)

    def search(collection) -> None:
        embedders = {name: SteppedEmbedder(model) for name, model in bench.models.items()}
        try:
            while not done.is_set():
                seen.add(search_once(collection, embedders))
                searched.release()
        except BaseException as error:
            errors.append(error)
            searched.release()

    opened = bench.open()  # one that stays open over the swap, as the app has it
    threads = [threading.Thread(target=search, args=(opened,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    searched.acquire()
    report = bench.reindex(**asked)
    while searched.acquire(blocking=False):  # searches of before the swap
        pass
    for _ in range(12):
        searched.acquire()
    done.set()
    for thread in threads:
        thread.join()
    opened.close()
    assert errors == []
    assert report.outcome == "done"
    config = report.plan.settings
    assert seen == {("fake", 0), (config.model, config.steps)}
    assert asked or texts == set(bench.texts().values())


def test_rolling_back_returns_to_what_was(bench: Bench):
    before = bench.texts()
    bench.reindex(steps=2, max_tokens=60)
    with bench.open() as collection, collection.write_lock():
        rollback(bench.directory)
    bench.check()
    assert bench.texts() == before
    # the settings of the previous generation are no draft
    assert find_draft(bench.directory) is None
    bench.reindex()
    bench.check()


def test_a_rollback_meanwhile_ends_the_rebuild(bench: Bench):
    bench.reindex()

    def turn_back(progress) -> None:
        if progress.phase == "measuring" and live(bench).number == 2:
            with bench.open() as collection, collection.write_lock():
                rollback(bench.directory)

    with pytest.raises(CollectionBusyError, match="rolled back to generation 1"):
        bench.reindex(steps=2, on_progress=turn_back)
    asked = len(bench.asked)
    assert read_note(bench.directory).state == "failed"
    assert bench.reindex().outcome == "done"
    assert len(bench.asked) == asked
    bench.check()


def test_a_refused_request_leaves_the_note_of_a_stopped_rebuild(bench: Bench):
    bench.reindex(steps=3, should_stop=stop_after(12))
    stopped = read_note(bench.directory)
    assert stopped.keeps_work
    with pytest.raises(UsageError):
        bench.reindex(steps=99)
    assert read_note(bench.directory) == stopped


def test_a_failed_index_keeps_no_work(bench: Bench, monkeypatch):
    def fail(*arguments, **options):
        raise StorageError("the disk is full")

    monkeypatch.setattr("indexer.reindexing.run.build_index", fail)
    with pytest.raises(StorageError):
        bench.reindex()
    note = read_note(bench.directory)
    assert (note.state, note.keeps_work) == ("failed", False)
    assert "nothing of it is left" in note_text(note, collection="docs")


def test_whoever_may_only_read_sees_that_a_rebuild_runs(bench: Bench, monkeypatch):
    class NoLock(FileLock):
        def acquire(self, *arguments, **options):
            raise PermissionError(13, "Permission denied")

    def look(progress) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("indexer.reindexing.rebuild_note.FileLock", NoLock)
            seen.append(read_note(bench.directory).state)

    seen: list[str] = []
    bench.reindex(steps=2, on_progress=look)
    assert set(seen) == {"running"}
    bench.reindex(steps=3, should_stop=stop_after(12))
    (bench.directory / "reindex.json").write_text(
        (bench.directory / "reindex.json").read_text().replace('"stopped"', '"running"')
    )
    look(None)
    assert seen[-1] == "stopped"  # nobody holds the lock any more


def test_two_rebuilds_at_once_are_refused(bench: Bench):
    messages: list[str] = []

    def try_another(progress) -> None:
        if progress.phase == "embedding" and not messages:
            note = read_note(bench.directory)
            assert note.is_running
            assert "steps: 0 / 2" in note.purpose
            with pytest.raises(CollectionBusyError, match="is being rebuilt by process") as error:
                bench.reindex()
            messages.append(str(error.value))

    bench.reindex(steps=2, on_progress=try_another)
    assert "gircse reindex docs --cancel" in messages[0]


def test_a_cancelled_rebuild_leaves_nothing(bench: Bench):
    bench.seconds_per_text = 0.01
    begun = threading.Event()
    outcomes: list[str] = []

    def rebuild() -> None:
        report = bench.reindex(steps=2, on_progress=lambda progress: begun.set())
        outcomes.append(report.outcome)

    thread = threading.Thread(target=rebuild)
    thread.start()
    begun.wait(30)
    time.sleep(0.3)
    assert ask_to_cancel(bench.directory, timeout_s=30)
    thread.join()
    assert outcomes == ["cancelled"]
    assert find_draft(bench.directory) is None
    assert bench.folders() == {"content-1", "index-1"}
    assert not ask_to_cancel(bench.directory, timeout_s=1)
    bench.check()


def test_a_deleted_collection_ends_the_rebuild(bench: Bench):
    bench.seconds_per_text = 0.01

    def delete(progress) -> None:
        if progress.phase == "embedding" and progress.done and "docs" in bench.library.names():
            bench.library.delete("docs")

    with pytest.raises(CollectionNotFoundError, match="was deleted"):
        bench.reindex(steps=2, on_progress=delete)
    assert bench.library.names() == []


def test_what_tuning_found_holds_for_the_same_vectors_only(bench: Bench):
    defaults = SearchDefaults(dense_weight=0.7, steps=1)
    with bench.open() as collection:
        collection.set_search_defaults(defaults)
    bench.reindex(max_tokens=60)
    with bench.open() as collection:
        assert collection.search_defaults() == defaults
    report = bench.reindex(steps=2)
    assert any("tune again" in note for note in report.notes)
    with bench.open() as collection:
        assert collection.search_defaults() == SearchDefaults()


def test_an_empty_collection_is_rebuilt(tmp_path):
    bench = Bench(tmp_path)
    assert bench.reindex().outcome == "done"
    assert bench.reindex(steps=2).outcome == "done"
    bench.write("one.txt", "The first text comes later.")
    bench.index()
    bench.check()


def test_progress_tells_what_is_left(bench: Bench):
    bench.seconds_per_text = 0.02
    told = []
    bench.reindex(steps=2, on_progress=told.append)
    assert {progress.phase for progress in told} >= {"embedding", "indexing", "swapping"}
    embedding = [progress for progress in told if progress.phase == "embedding"]
    assert embedding[0].done == 0
    assert embedding[-1].done == embedding[-1].total > 100
    late = [progress.seconds_left for progress in embedding if progress.seconds > 3]
    assert all(left is not None and 0 <= left < 60 for left in late)


def test_vectors_are_kept_in_half_precision_without_a_model(bench: Bench):
    texts = bench.texts()
    report = bench.reindex(vectors="fp16")
    assert report.plan.changes == ("vectors: fp32 / fp16",)
    assert not report.plan.may_embed
    assert bench.asked == []
    assert report.reused == len(set(texts.values()))
    assert bench.texts() == texts
    with bench.open() as collection:
        assert collection.archive.vectors == "fp16"
        assert collection.archive.verify() == []
        for stored, vectors in collection.store.scroll():
            for one, values in zip(stored, vectors, strict=True):
                expected = stepped_vector("fake", 0, embedding_text(one.chunk))
                assert float(expected @ values) == pytest.approx(1.0, abs=1e-3)
    report = bench.reindex(steps=1)  # stays as it is kept
    with bench.open() as collection:
        assert collection.archive.vectors == "fp16"
    report = bench.reindex(vectors="fp32")
    assert report.plan.may_embed
    bench.check()


def test_a_disk_without_room_is_told_before_anything_is_done(bench: Bench, monkeypatch):
    full = shutil.disk_usage(bench.folder)._replace(free=9)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    with pytest.raises(StorageError, match=r"needs about .* kB, and 9 B are free"):
        bench.reindex(steps=2)
    monkeypatch.undo()
    assert bench.folders() == {"content-1", "index-1"}
    assert bench.asked == []


def test_several_lanes_embed_at_once(bench: Bench):
    with bench.open() as collection:
        report = reindex(
            collection,
            ReindexRequest(steps=2),
            embedder=bench.embedder,
            resolve=bench.resolve,
            lanes=2,
        )
    assert report.outcome == "done"
    assert len(bench.asked) == len(set(bench.asked)) == report.embedded
    bench.check()
