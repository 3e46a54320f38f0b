import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.cli.freshness import file_states
from indexer.collections.collection import Collection
from indexer.collections.library import Library
from indexer.documents import document_id
from indexer.errors import (
    CollectionBusyError,
    CollectionNotFoundError,
    FingerprintMismatchError,
    StorageError,
    UsageError,
)
from indexer.extraction import ExtractionLimits, ExtractionPool
from indexer.indexing import pipeline
from indexer.indexing.discovery import display_path
from indexer.indexing.extraction_feed import ExtractionFeed
from indexer.indexing.index_report import FileOutcome, IndexOptions, IndexProgress, IndexReport
from tests.indexer.fake_model import FakeEmbedder, FakeModel, write_tokenizer

LONG_AGO = 1_600_000_000


class World:
    """A folder of documents, a collection, a model, and the command that ties them."""

    def __init__(self, tmp_path: Path) -> None:
        self.model = FakeModel(write_tokenizer(tmp_path))
        self.library = Library(tmp_path / "home", resolve=lambda name: self.model)
        self.collection: Collection = self.library.create("docs", model=self.model)
        self.embedder = FakeEmbedder(self.model)
        self.folder = tmp_path / "files"
        self.folder.mkdir()
        self.loads = 0
        self.outcomes: list[FileOutcome] = []
        self.progress: list[IndexProgress] = []
        self.stop = False

    def write(
        self, name: str | bytes, text: str | bytes, *, mtime: float | None = LONG_AGO
    ) -> Path:
        """Write a file, last modified long ago unless told otherwise."""
        path = Path(os.fsdecode(os.fsencode(self.folder) + b"/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def index(self, *paths: Path, **options) -> IndexReport:
        self.outcomes.clear()
        return pipeline.index_paths(
            self.collection,
            paths or [self.folder],
            embedder=self.load,
            options=IndexOptions(**options),
            on_progress=self.progress.append,
            on_outcome=self.outcomes.append,
            should_stop=lambda: self.stop,
        )

    def load(self) -> FakeEmbedder:
        self.loads += 1
        return self.embedder

    def embedded(self) -> list[str]:
        """Return what the model has read since this was last asked."""
        texts = list(self.embedder.texts)
        self.embedder.texts.clear()
        return texts

    def found(self, words: str) -> list[str]:
        """Return the names of the documents that a lexical search finds."""
        hits = self.collection.store.search_text(words, top_k=100)
        chunks = self.collection.store.get([hit.chunk_id for hit in hits])
        return sorted({Path(chunk.document.source).name for chunk in chunks.values()})

    def row(self, path: Path):
        identity = document_id(display_path(path))
        return self.collection.ledger.get([identity])[identity]

    def states(self) -> dict[str, str]:
        return {Path(row.source).name: row.state for row in self.collection.ledger.rows()}

    @contextlib.contextmanager
    def no_reading(self, monkeypatch) -> Iterator[None]:
        """Fail if any file is opened for reading meanwhile."""

        def fail(*args, **kwargs):
            pytest.fail("a file was read")

        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "ExtractionFeed", fail)
            yield


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.collection.close()


def counts(report: IndexReport) -> tuple[int, int, int, int, int]:
    return report.new, report.updated, report.unchanged, report.removed, report.failed


# --- what is embedded -----------------------------------------------------------------------------


def test_files_become_searchable(world):
    world.write("apples.md", "# Apples\n\nApples keep well in a cool cellar.")
    world.write("sub/pears.txt", "Pears ripen after the harvest.")
    report = world.index()
    assert report.summary() == "2 new, 0 updated, 0 unchanged, 0 removed, 0 failed"
    assert (report.chunks, report.embedded, report.reused) == (2, 2, 0)
    assert not report.interrupted
    assert world.found("cellar") == ["apples.md"]
    assert world.found("harvest") == ["pears.txt"]
    assert world.embedder.steps == {0}
    query = world.embedder.embed_queries([world.embedded()[0]])
    (hits,) = world.collection.store.search(query, top_k=1)
    assert hits[0].score == pytest.approx(1.0, abs=1e-6)
    assert {outcome.change for outcome in world.outcomes} == {"new"}
    assert world.row(world.folder / "apples.md").chunks == 1


def test_unchanged_files_cost_no_model_call_and_are_not_even_read(world, monkeypatch):
    world.write("a.md", "# A\n\nFirst.")
    world.write("b.md", "# B\n\nSecond.")
    world.index()
    with world.no_reading(monkeypatch):
        report = world.index()
    assert counts(report) == (0, 0, 2, 0, 0)
    assert world.loads == 1
    assert [outcome.change for outcome in world.outcomes] == ["unchanged"] * 2


def test_a_touched_file_with_equal_content_is_unchanged(world, monkeypatch):
    path = world.write("a.md", "# A\n\nFirst.")
    world.index()
    os.utime(path, (LONG_AGO + 60, LONG_AGO + 60))
    assert counts(world.index()) == (0, 0, 1, 0, 0)
    assert world.loads == 1
    with world.no_reading(monkeypatch):
        assert counts(world.index()) == (0, 0, 1, 0, 0)


def test_an_edit_of_equal_size_within_the_clocks_grain_is_found(world):
    path = world.write("a.md", "# A\n\nFirst.", mtime=None)
    stamp = path.stat().st_mtime_ns
    world.index()
    path.write_text("# A\n\nOther.")
    os.utime(path, ns=(stamp, stamp))
    assert counts(world.index()) == (0, 1, 0, 0, 0)
    assert world.found("other") == ["a.md"]
    assert world.found("first") == []


def test_a_fresh_file_is_read_twice_and_then_left_alone(world, monkeypatch):
    path = world.write("a.md", "# A\n\nFirst.", mtime=None)
    world.index()
    assert world.row(path).mtime_ns is None
    later_ns = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later_ns)
    assert counts(world.index()) == (0, 0, 1, 0, 0)
    assert world.row(path).mtime_ns == path.stat().st_mtime_ns
    with world.no_reading(monkeypatch):
        assert counts(world.index()) == (0, 0, 1, 0, 0)
    assert world.loads == 1


def test_a_time_in_the_far_future_is_taken_as_it_is(world, monkeypatch):
    world.write("a.md", "# A\n\nFirst.", mtime=time.time() + 400 * 24 * 3600)
    world.index()
    with world.no_reading(monkeypatch):
        assert counts(world.index()) == (0, 0, 1, 0, 0)


def test_a_time_beyond_the_range_of_the_database_stops_nothing(world, monkeypatch):
    path = world.write("a.md", "# A\n\nFirst.", mtime=10_000_000_000)  # in the year 2286
    scan = world.write("b.pdf", b"no PDF", mtime=10_000_000_000)
    if path.stat().st_mtime_ns < 2**63:
        pytest.skip("this file system keeps no such time")
    assert world.index().failed == 1
    assert world.row(path).state == "ready"
    assert world.row(scan).state == "failed"
    with world.no_reading(monkeypatch):
        assert counts(world.index()) == (0, 0, 1, 0, 1)
    assert file_states(world.collection.ledger, [world.row(path).document_id]) == ["current"]


def test_a_touched_file_is_filtered_by_its_new_time(world):
    path = world.write("a.md", "# A\n\nFirst.")
    world.index()
    os.utime(path, (LONG_AGO + 50, LONG_AGO + 50))
    assert counts(world.index()) == (0, 0, 1, 0, 0)
    (record,) = world.collection.store.documents()
    assert record.modified_at == LONG_AGO + 50


def test_rehash_finds_an_edit_that_kept_size_and_time(world):
    path = world.write("a.md", "# A\n\nFirst.")
    world.index()
    world.write("a.md", "# A\n\nOther.")
    assert counts(world.index()) == (0, 0, 1, 0, 0)
    assert counts(world.index(rehash=True)) == (0, 1, 0, 0, 0)
    assert counts(world.index(rehash=True)) == (0, 0, 1, 0, 0)
    assert world.found("other") == [path.name]


def test_only_changed_passages_are_embedded(world):
    sections = [f"## Part {n}\n\n" + f"Words of part {n} go here. " * 30 for n in range(4)]
    world.write("a.md", "# Title\n\n" + "\n\n".join(sections))
    first = world.index()
    world.embedded()
    sections[2] = "## Part 2\n\nQuite other words."
    world.write("a.md", "# Title\n\n" + "\n\n".join(sections))
    report = world.index()
    assert counts(report) == (0, 1, 0, 0, 0)
    assert first.chunks > 3
    assert 0 < report.embedded < first.embedded
    assert report.embedded + report.reused == report.chunks
    assert any("Quite other words" in text for text in world.embedded())
    assert len(world.collection.store) == report.chunks


def test_equal_contents_are_two_documents_and_one_embedding(world):
    for name in ["x/a.md", "y/a.md"]:
        world.write(name, "# Title\n\nThe same words.")
    report = world.index()
    assert counts(report) == (2, 0, 0, 0, 0)
    assert (report.chunks, report.embedded, report.reused) == (2, 1, 1)
    assert len(world.collection.archive) == 1
    (world.folder / "x" / "a.md").unlink()
    world.index(prune=True)
    assert world.found("same words") == ["a.md"]


def test_a_moved_file_costs_no_model_call(world):
    path = world.write("old/a.md", "# Title\n\nThe words.")
    world.index()
    (world.folder / "new").mkdir()
    path.rename(world.folder / "new" / "b.md")
    path.parent.rmdir()
    report = world.index(prune=True)
    assert counts(report) == (1, 0, 0, 1, 0)
    assert (report.embedded, report.reused, world.loads) == (0, 1, 1)
    assert world.found("words") == ["b.md"]


def test_deleted_documents_come_back_without_the_model(world):
    path = world.write("a.md", "# Title\n\nThe words.")
    world.index()
    removed = world.collection.delete_documents([document_id(str(path)), "unknown"])
    assert removed == 1
    assert (world.found("words"), world.states()) == ([], {})
    assert counts(world.index()) == (1, 0, 0, 0, 0)
    assert world.loads == 1


# --- what is gone ---------------------------------------------------------------------------------


def test_a_run_on_a_subfolder_leaves_the_rest_alone(world):
    kept = world.write("a.md", "# A\n\nFirst.")
    world.write("sub/b.md", "# B\n\nSecond.")
    world.write("sub/c.md", "# C\n\nThird.")
    world.index()
    kept.unlink()
    (world.folder / "sub" / "c.md").unlink()
    report = world.index(world.folder / "sub", prune=True)
    assert counts(report) == (0, 0, 1, 1, 0)
    assert world.found("first second third") == ["a.md", "b.md"]


def test_missing_files_are_reported_and_stay_until_pruned(world):
    path = world.write("a.md", "# A\n\nFirst.")
    world.write("b.md", "# B\n\nSecond.")
    world.index()
    path.unlink()
    report = world.index()
    assert report.missing == 1
    assert report.summary().endswith("1 missing (use --prune to remove them)")
    assert world.found("first") == ["a.md"]
    report = world.index(prune=True)
    assert (counts(report), report.missing) == ((0, 0, 1, 1, 0), 0)
    assert world.found("first") == []
    assert world.states() == {"b.md": "ready"}
    assert {outcome.change for outcome in world.outcomes} == {"unchanged", "removed"}


def test_an_emptied_root_is_not_pruned_for_it_may_not_be_mounted(world):
    paths = [world.write(f"{n}.md", f"# {n}\n\nWords.") for n in range(3)]
    world.index()
    for path in paths:
        path.unlink()
    report = world.index(prune=True)
    assert (report.removed, report.kept) == (0, 3)
    assert "3 missing (kept" in report.summary()
    assert "not mounted" in report.notes[0]
    assert str(world.folder) in report.notes[0]
    assert len(world.found("words")) == 3


def test_an_emptied_folder_inside_is_not_pruned_but_a_removed_one_is(world):
    drive = world.write("drive/deep/a.md", "# A\n\nFirst.")
    gone = world.write("gone/b.md", "# B\n\nSecond.")
    world.write("c.md", "# C\n\nThird.")
    world.index()
    for path in [drive, gone]:
        path.unlink()
    drive.parent.rmdir()
    gone.parent.rmdir()
    report = world.index(prune=True)
    assert (report.removed, report.kept) == (1, 1)
    assert str(drive.parent.parent) in report.notes[0]
    drive.parent.parent.rmdir()
    assert world.index(prune=True).removed == 1


def test_what_cannot_be_looked_at_is_not_gone(world, monkeypatch):
    path = world.write("closed/a.md", "# A\n\nFirst.")
    world.write("b.md", "# B\n\nSecond.")
    world.index()
    scandir, lstat = os.scandir, os.lstat

    def refuse_listing(folder):
        if Path(folder) == path.parent:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    def refuse_status(location):
        if os.fsdecode(location) == str(path):
            raise PermissionError(13, "Permission denied")
        return lstat(location)

    monkeypatch.setattr(os, "scandir", refuse_listing)
    monkeypatch.setattr(os, "lstat", refuse_status)
    report = world.index(prune=True)
    assert (report.removed, report.missing, report.failed) == (0, 0, 1)
    assert report.outcomes[0].code == "unreadable_folder"
    assert world.found("first") == ["a.md"]


def test_a_file_that_is_excluded_now_is_not_pruned(world):
    world.write("a.md", "# A\n\nFirst.")
    world.write("b.txt", "Second.")
    world.index()
    report = world.index(prune=True, exclude=("*.txt",))
    assert counts(report) == (0, 0, 1, 0, 0)
    assert world.found("second") == ["b.txt"]


def test_a_missing_path_is_refused_before_anything_is_done(world):
    path = world.write("a.md", "# A\n\nFirst.")
    with pytest.raises(UsageError, match="gone does not exist"):
        world.index(path, world.folder / "gone", prune=True)
    with pytest.raises(UsageError, match="--include"):
        world.index(include=("!",))
    assert world.states() == {}


# --- what cannot be read --------------------------------------------------------------------------


def test_bad_files_are_accounted_for_and_end_nothing(world, monkeypatch):
    world.write("good.md", "# Good\n\nWords.")
    world.write("empty.md", "")
    world.write("broken.pdf", b"%PDF-1.4\nnothing more")
    world.write("binary.txt", bytes(range(256)) * 40)
    world.write("zero.docx", b"")
    report = world.index()
    assert report.new == 1
    assert report.failed + report.no_text + report.skipped == 4
    assert world.states()["broken.pdf"] == "failed"
    assert world.states()["empty.md"] == "no_text"
    assert world.states()["binary.txt"] == "skipped"
    for outcome in report.outcomes:
        assert outcome.message
        assert outcome.code
    with world.no_reading(monkeypatch):
        again = world.index()
    assert (again.failed, again.no_text, again.skipped) == (
        *(report.failed, report.no_text),
        report.skipped,
    )
    assert {outcome.message for outcome in again.outcomes} == {
        outcome.message for outcome in report.outcomes
    }


def test_failed_files_are_tried_again_when_told_to_or_named_or_changed(world, monkeypatch):
    path = world.write("a.pdf", b"%PDF-1.4\nnothing more")
    world.index()
    with world.no_reading(monkeypatch):
        world.index()
    for again in [lambda: world.index(retry_failed=True), lambda: world.index(path)]:
        world.progress.clear()
        assert again().failed == 1
        assert "indexing" in {progress.phase for progress in world.progress}
    world.write("a.pdf", b"Just words in plain text.", mtime=LONG_AGO + 9)
    world.index()
    assert world.row(path).updated_at > time.time() - 60


def test_a_file_that_lost_its_text_is_not_served_any_more(world):
    for name in ["a.md", "b.md", "c.md"]:
        world.write(name, "# Title\n\nOld words.")
    world.index()
    world.write("a.md", "", mtime=LONG_AGO + 9)
    world.write("b.md", bytes(range(256)) * 40, mtime=LONG_AGO + 9)
    report = world.index()
    assert (report.no_text, report.skipped, report.unchanged) == (1, 1, 1)
    assert world.found("old words") == ["c.md"]
    assert len(world.collection.store) == 1


def test_a_file_that_cannot_be_read_for_now_stays_searchable_and_is_tried_again(world):
    path = world.write("a.md", "# A\n\nOld words.")
    world.index()
    world.write("a.md", "# A\n\nNew words.", mtime=LONG_AGO + 9)
    with locked(path):
        report = world.index()
    assert (report.failed, report.outcomes[0].chunks) == (1, 1)
    assert "stays searchable" in report.outcomes[0].message
    assert world.found("old") == ["a.md"]
    assert counts(world.index()) == (0, 1, 0, 0, 0)
    assert world.found("new") == ["a.md"]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let a file vanish as soon as its folder was listed."""
    found = pipeline.discover

    def vanish(*args, **kwargs):
        for entry in found(*args, **kwargs):
            if entry.path == path:
                path.rename(path.with_suffix(".away"))
            yield entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "discover", vanish)
        try:
            yield
        finally:
            path.with_suffix(".away").rename(path)


def test_a_file_that_is_written_all_the_time_fails_alone_and_is_tried_again(world):
    path = world.write("growing.txt", "words " * 25_000_000)  # long enough to read
    world.write("a.md", "# A\n\nFirst.")
    done = threading.Event()

    def grow():
        with path.open("a") as file:
            while not done.is_set():
                file.write("more words\n")
                file.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        report = world.index(limits=ExtractionLimits(max_text_chars=10_000))
    finally:
        done.set()
        thread.join()
    assert report.new == 1
    assert (report.failed, report.outcomes[0].code) == (1, "changed")
    path.write_text("It is finished now.")
    assert counts(world.index()) == (1, 0, 1, 0, 0)


def test_odd_names_are_indexed_like_others(world):
    names = [b"new\nline.md", b"back\\slash.md", b"latin-\xe9.md", b" blank .md", b"--flag.md"]
    for name in names:
        world.write(name, b"# Odd\n\nWords of " + name.hex().encode())
    assert counts(world.index()) == (5, 0, 0, 0, 0)
    assert len(world.found("odd")) == 5
    assert r"latin-\xe9.md" in world.found("odd")
    assert counts(world.index()) == (0, 0, 5, 0, 0)
    for name in names:
        Path(os.fsdecode(os.fsencode(world.folder) + b"/" + name)).unlink()
    world.write("z.md", "# Z\n\nLast.")
    assert world.index(prune=True).removed == 5


def test_two_names_that_look_alike_are_told_apart(world):
    world.write(b"a\xff.md", "# A\n\nFirst.")
    world.write(rb"a\xff.md", "# B\n\nSecond.")
    report = world.index()
    assert (report.new, report.failed) == (1, 1)
    assert report.outcomes[0].code == "name_clash"
    assert counts(world.index()) == (0, 0, 1, 0, 1)


# --- how a run ends -------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(world):
    same = world.write("same.md", "# A\n\nFirst.")
    world.write("touched.md", "# B\n\nSecond.")
    world.write("changed.md", "# C\n\nThird.")
    gone = world.write("gone.md", "# D\n\nFourth.")
    world.index()
    os.utime(world.folder / "touched.md", (LONG_AGO + 9, LONG_AGO + 9))
    world.write("changed.md", "# C\n\nOther.", mtime=LONG_AGO + 9)
    gone.unlink()
    world.write("new.md", "# E\n\nFifth.")
    before = content(world.collection.directory)
    report = world.index(dry_run=True)
    assert (counts(report), report.missing) == ((1, 1, 2, 0, 0), 1)
    assert report.dry_run
    assert counts(world.index(dry_run=True, prune=True)) == (1, 1, 2, 1, 0)
    assert {(Path(outcome.source).name, outcome.change) for outcome in world.outcomes} == {
        ("same.md", "unchanged"),
        ("touched.md", "unchanged"),
        ("changed.md", "updated"),
        ("new.md", "new"),
        ("gone.md", "removed"),
    }
    assert content(world.collection.directory) == before
    assert world.row(same).state == "ready"
    assert world.loads == 1


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def test_an_error_of_the_model_leaves_everything_consistent(world):
    for n in range(40):
        world.write(f"{n:02}.md", f"# {n}\n\n" + f"Words number {n}. " * 40)
    world.embedder.fails_after = 30
    with pytest.raises(RuntimeError, match="out of memory"):
        world.index()
    ready = [name for name, state in world.states().items() if state == "ready"]
    assert 0 < len(ready) < 40
    assert world.found("words") == sorted(ready)
    archived = len(world.collection.archive)
    assert archived > 0
    world.embedder.fails_after = None
    world.embedded()
    report = world.index()
    assert report.new + report.unchanged == 40
    assert report.unchanged == len(ready)
    total = len(world.collection.archive)
    assert len(world.embedded()) == total - archived
    assert world.collection.archive.verify() == []


def test_a_huge_file_is_archived_slice_by_slice(world):
    world.write("huge.txt", "".join(f"Sentence number {n} of many more. " for n in range(9000)))
    world.embedder.fails_after = 200
    with pytest.raises(RuntimeError):
        world.index()
    archived = len(world.collection.archive)
    assert 0 < archived <= 200
    assert len(world.collection.store) == 0
    world.embedder.fails_after = None
    world.embedded()
    report = world.index()
    assert report.chunks > 200
    assert len(world.embedded()) == report.chunks - archived
    assert report.reused == archived


def test_a_model_that_returns_no_unit_vectors_is_refused(world, monkeypatch):
    world.write("a.md", "# A\n\nFirst.")
    monkeypatch.setattr(
        FakeEmbedder, "embed_documents", lambda self, texts, steps: np.full((1, 16), np.nan, "f4")
    )
    with pytest.raises(StorageError, match="'fake' returned vectors that cannot be kept"):
        world.index()
    assert world.states() == {"a.md": "embedding"}


def test_another_models_vectors_never_get_in(world):
    world.write("a.md", "# A\n\nFirst.")
    world.embedder = FakeEmbedder(replace(world.model, weights="9876"))
    with pytest.raises(FingerprintMismatchError, match="weights: 0123 / 9876"):
        world.index()
    assert len(world.collection.archive) == 0


def test_a_run_can_be_stopped_and_goes_on_later(world):
    for n in range(60):
        world.write(f"{n:02}.md", f"# {n}\n\n" + f"Words number {n}. " * 40)
    world.embedder.seconds_per_text = 0.01
    seen = []

    def stop_after_ten(outcome):
        seen.append(outcome)
        world.stop = len(seen) >= 10

    report = pipeline.index_paths(
        world.collection,
        [world.folder],
        embedder=world.load,
        options=IndexOptions(prune=True),
        on_outcome=stop_after_ten,
        should_stop=lambda: world.stop,
    )
    assert report.interrupted
    assert 10 <= report.new < 60
    assert world.found("words") == sorted(
        name for name, state in world.states().items() if state == "ready"
    )
    world.stop = False
    report = world.index()
    assert not report.interrupted
    assert report.new + report.unchanged == 60
    assert set(world.states().values()) == {"ready"}
    texts = world.embedded()
    assert len(texts) == len(set(texts))


def test_progress_grows_to_the_end_and_does_not_flood(world):
    for n in range(50):
        world.write(f"{n:02}.md", f"# {n}\n\nWords number {n}.")
    started = time.monotonic()
    world.index()
    seconds = time.monotonic() - started
    done = [progress.files_done for progress in world.progress]
    assert done == sorted(done)
    assert world.progress[-1].files_done == world.progress[-1].files_total == 50
    assert world.progress[-1].chunks_stored == 50
    assert [progress.phase for progress in world.progress][-1] == "finishing"
    assert len(world.progress) <= seconds * 10 + 6


def test_progress_tells_how_far_the_files_at_work_are(world):
    for name in ("long", "short"):
        parts = range(200 if name == "long" else 1)
        text = "\n\n".join(
            f"# Part {n}\n\n" + f"The {name} words of part {n}. " * 40 for n in parts
        )
        world.write(f"{name}.md", text)
    world.embedder.seconds_per_text = 0.01
    world.index()
    seen = [file for progress in world.progress for file in progress.at_work]
    long = [file for file in seen if file.source.endswith("long.md")]
    assert {file.total for file in long} == {long[0].total}
    assert [file.done for file in long] == sorted(file.done for file in long)
    assert any(0 < file.done < file.total for file in long)
    assert all(file.done <= file.total for file in seen)
    assert world.progress[-1].at_work == ()


def test_a_run_ends_when_its_collection_is_removed_by_hand(world):
    for n in range(60):
        world.write(f"{n:02}.md", f"# {n}\n\n" + f"Words number {n}. " * 40)
    world.embedder.seconds_per_text = 0.002
    with pytest.raises(CollectionNotFoundError, match="was deleted"):
        pipeline.index_paths(
            world.collection,
            [world.folder],
            embedder=world.load,
            options=IndexOptions(),
            on_outcome=lambda outcome: shutil.rmtree(world.collection.directory, True),
        )
    assert len(world.embedded()) < 60


def test_an_error_that_ends_the_reading_of_files_ends_the_run(world, monkeypatch):
    world.write("a.md", "# A\n\nFirst.")

    def fail(self, requests):
        time.sleep(0.3)  # longer than a run waits for a result at once
        raise OSError("no more processes")
        yield

    taken = ExtractionFeed.next_result

    def take(self, timeout_s):
        result = taken(self, 0.0)
        self._thread.join()  # the reading ends just after a run has waited in vain
        return result

    monkeypatch.setattr(ExtractionPool, "extract", fail)
    monkeypatch.setattr(ExtractionFeed, "next_result", take)
    with pytest.raises(OSError, match="no more processes"):
        world.index()
    assert world.states() == {"a.md": "queued"}


def test_closing_a_removed_collection_does_not_bring_it_back(world):
    path = world.write("a.md", "# A\n\nFirst.")
    world.index()
    world.collection.delete_documents([document_id(str(path))])
    shutil.rmtree(world.collection.directory)
    world.collection.close()
    assert world.library.names() == []


def test_a_second_writer_is_refused(world):
    world.write("a.md", "# A\n\nFirst.")
    refused = []

    def second():
        try:
            world.index()
        except CollectionBusyError as error:
            refused.append(str(error))

    with world.collection.write_lock("indexing"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "this process (indexing" in refused[0]
    assert world.states() == {}


def test_searches_go_on_while_a_thread_indexes(world):
    for n in range(80):
        world.write(f"{n:02}.md", f"# {n}\n\nCommon words and number {n}.")
    world.embedder.seconds_per_text = 0.005
    thread = threading.Thread(target=world.index)
    sizes = []
    thread.start()
    query = world.embedder.embed_queries(["anything"])
    while thread.is_alive():
        sizes.append(len(world.found("common")))
        (hits,) = world.collection.store.search(query, top_k=100)
        assert len({hit.chunk_id for hit in hits}) == len(hits)
        time.sleep(0.02)
    thread.join()
    assert sizes == sorted(sizes)
    assert len(world.found("common")) == 80


def test_a_full_disk_ends_the_run_and_costs_nothing_that_was_ready(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted_tmpfs(disk, megabytes=3):
        world = World(disk)
        world.folder = tmp_path / "files"
        world.folder.mkdir()
        world.write("small.md", "# Small\n\nSaved words.")
        world.index()
        noise = np.random.default_rng(1)
        for n in range(40):
            words = " ".join(str(number) for number in noise.integers(0, 10**9, 8000))
            world.write(f"{n:02}.txt", words)
        with pytest.raises(StorageError, match=r"full|space"):
            world.index()
        assert world.found("saved") == ["small.md"]
        states = world.states()
        ready = {name for name, state in states.items() if state == "ready"}
        assert "small.md" in ready
        world.collection.close()
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        world.collection = world.library.open("docs")
        report = world.index()
        assert report.new + report.unchanged == 41
        assert set(world.states().values()) == {"ready"}
        assert world.collection.archive.verify() == []
        world.collection.close()


@contextlib.contextmanager
def mounted_tmpfs(folder: Path, *, megabytes: int) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
