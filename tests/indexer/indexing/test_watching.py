"""A watched folder and its collection stay in step, whatever happens to the folder."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.collections.library import Library
from indexer.collections.write_lock import WriteLock
from indexer.errors import CollectionNotFoundError, UsageError
from indexer.indexing.index_report import FileOutcome, IndexOptions, IndexProgress, IndexReport
from indexer.indexing.watching import FolderWatch, WatchOptions
from indexer.reindexing.request import IndexWish, ReindexRequest
from indexer.reindexing.run import reindex
from tests.indexer.fake_model import FakeEmbedder, FakeModel, write_tokenizer


class Watching:
    """A collection, a folder, and what watches it in a thread of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self.model = FakeModel(write_tokenizer(tmp_path))
        self.models = {"fake": self.model}
        self.library = Library(tmp_path / "home", resolve=lambda name: self.models[name])
        self.library.create("docs", model=self.model).close()
        self.folder = tmp_path / "files"
        self.folder.mkdir()
        self.embedder = FakeEmbedder(self.model)
        self.loaded: list[str] = []
        self.messages: list[str] = []
        self.outcomes: list[FileOutcome] = []
        self.reports: list[IndexReport] = []
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def said(self, message: str) -> None:
        self.messages.append(message)

    def progressed(self, progress: IndexProgress) -> None:
        pass

    def settled(self, outcome: FileOutcome) -> None:
        self.outcomes.append(outcome)

    def finished(self, report: IndexReport) -> None:
        self.reports.append(report)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, *paths: Path, prune: bool = True, **options) -> None:
        index = IndexOptions(prune=prune, include=options.pop("include", ()))
        self._stop.clear()
        watch = WatchOptions(index, settle_s=0.3, **options)
        self._thread = threading.Thread(target=self._run, args=(paths or (self.folder,), watch))
        self._thread.start()
        self.wait(lambda: self.reports or self.error)

    def _run(self, paths: tuple[Path, ...], options: WatchOptions) -> None:
        try:
            with self.library.open("docs") as collection:
                FolderWatch(
                    collection,
                    paths,
                    embedder=self.load,
                    options=options,
                    listener=self,
                    should_stop=self._stop.is_set,
                ).run()
        except BaseException as error:
            self.error = error

    def load(self, name: str) -> FakeEmbedder:
        self.loaded.append(name)
        return self.embedder if name == "fake" else FakeEmbedder(self.models[name])

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)
            assert not self._thread.is_alive()

    def found(self) -> set[str]:
        with self.library.open("docs") as collection:
            return {Path(item.source).name for item in collection.store.documents()}

    def wait(self, holds: Callable[[], object], *, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert self.error is None, self.error
            assert time.monotonic() < deadline, (self.messages, self.outcomes)
            time.sleep(0.05)


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    world = Watching(tmp_path)
    yield world
    world.end()


def test_what_changed_before_is_noticed_and_then_what_changes(watching: Watching) -> None:
    watching.write("early.md", "# Early\n\nThere before.")
    watching.start()
    assert watching.found() == {"early.md"}

    watching.write("new.md", "# New\n\nFirst words.")
    watching.wait(lambda: watching.found() == {"early.md", "new.md"})
    watching.write("deep/er/far.md", "# Far\n\nIn a new folder.")
    watching.wait(lambda: "far.md" in watching.found())
    watching.write("new.md", "# New\n\nOther words.")
    watching.wait(lambda: watching.outcomes[-1].change == "updated")
    (watching.folder / "new.md").rename(watching.folder / "moved.md")
    watching.wait(lambda: watching.found() == {"early.md", "moved.md", "far.md"})
    (watching.folder / "moved.md").unlink()
    watching.wait(lambda: watching.found() == {"early.md", "far.md"})
    (watching.folder / "deep").rename(watching.folder / "depth")
    watching.wait(
        lambda: watching.outcomes[-1].change == "removed" and "far.md" in watching.found()
    )
    shutil.rmtree(watching.folder / "depth")
    watching.wait(lambda: watching.found() == {"early.md"})
    watching.end()

    watching.write("meanwhile.md", "# Later\n\nWhile nobody looked.")
    (watching.folder / "early.md").unlink()
    watching.reports.clear()
    watching.start()
    assert watching.found() == {"meanwhile.md"}
    assert watching.messages == []


def test_drafts_of_editors_and_hidden_files_cause_no_work(watching: Watching) -> None:
    watching.write("a.md", "# A\n\nWords.")
    watching.start()
    for name in ["a.md~", ".a.md.swp", "#a.md#", "~$a.docx", "b.pdf.part", ".git/HEAD", "x.tmp"]:
        watching.write(name, "draft")
    time.sleep(1.5)
    assert len(watching.reports) == 1
    # as editors save: into a file of another name, which then takes the place of the old one
    draft = watching.write("a.md.tmp", "# A\n\nSaved words.")
    draft.replace(watching.folder / "a.md")
    watching.wait(lambda: watching.outcomes[-1].change == "updated")
    assert watching.found() == {"a.md"}


def test_a_file_is_read_when_it_has_settled(watching: Watching) -> None:
    watching.start()
    path = watching.write("log.txt", "first line\n")
    for number in range(8):
        with path.open("a") as file:
            file.write(f"line {number}\n")
        time.sleep(0.1)
    assert not [item for item in watching.outcomes if item.change == "new"]
    watching.wait(lambda: [item for item in watching.outcomes if item.change == "new"])


def test_an_emptied_folder_keeps_its_documents_as_with_prune(watching: Watching) -> None:
    for number in range(3):
        watching.write(f"drive/{number}.md", f"# {number}\n\nWords.")
    watching.write("other.md", "# Other\n\nWords.")
    watching.start()
    for number in range(3):
        (watching.folder / "drive" / f"{number}.md").unlink()
    watching.wait(lambda: any(report.kept for report in watching.reports))
    assert len(watching.found()) == 4
    assert any("not mounted" in note for report in watching.reports for note in report.notes)


def test_a_folder_that_goes_away_is_waited_for(watching: Watching) -> None:
    watching.write("a.md", "# A\n\nWords.")
    watching.start()
    away = watching.folder.with_name("away")
    watching.folder.rename(away)
    watching.wait(lambda: any("is not there; waiting" in line for line in watching.messages))
    assert watching.found() == {"a.md"}
    (away / "b.md").write_text("# B\n\nAdded elsewhere.")
    away.rename(watching.folder)
    watching.wait(lambda: watching.found() == {"a.md", "b.md"})
    watching.write("c.md", "# C\n\nAfter it came back.")
    watching.wait(lambda: "c.md" in watching.found())


def test_deleted_files_can_be_kept(watching: Watching) -> None:
    path = watching.write("a.md", "# A\n\nWords.")
    watching.write("b.md", "# B\n\nWords.")
    watching.start(prune=False)
    path.unlink()
    watching.wait(lambda: any(report.missing for report in watching.reports))
    assert watching.found() == {"a.md", "b.md"}


def test_a_single_file_is_watched_though_editors_replace_it(watching: Watching) -> None:
    path = watching.write("a.md", "# A\n\nWords.")
    watching.write("b.md", "# B\n\nNot asked for.")
    watching.start(path)
    for text in ["second", "third"]:
        draft = watching.write("draft", f"# A\n\nA {text} text.")
        draft.replace(path)
        count = len(watching.outcomes)
        watching.wait(lambda count=count: len(watching.outcomes) > count)
        assert watching.outcomes[-1].change == "updated"
    assert watching.found() == {"a.md"}


def test_patterns_hold(watching: Watching) -> None:
    watching.start(include=("*.md",))
    watching.write("a.txt", "Not taken.")
    watching.write("b.md", "# B\n\nTaken.")
    watching.wait(lambda: watching.found() == {"b.md"})


def test_failures_are_survived(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    watching.start()
    watching.embedder.fails_after = 0
    watching.write("a.md", "# A\n\nWords.")
    watching.wait(lambda: any("ran out of memory" in line for line in watching.messages))
    watching.embedder.fails_after = None
    watching.wait(lambda: watching.reports[-1].new == 1)
    assert watching.found() == {"a.md"}
    directory = watching.library.home / "collections" / "docs"
    with WriteLock(directory, name="docs").hold("a backup"):
        watching.write("b.md", "# B\n\nWords.")
        watching.wait(lambda: any("a backup" in line for line in watching.messages))
    watching.wait(lambda: watching.found() == {"a.md", "b.md"})
    bad = watching.write("bad.pdf", "%PDF-1.4\nnothing more")
    watching.wait(lambda: watching.outcomes[-1].state == "failed")
    bad.unlink()
    watching.wait(lambda: watching.outcomes[-1].change == "removed")


def test_after_a_rebuild_with_another_model_it_goes_on_with_that(watching: Watching) -> None:
    watching.models["other"] = FakeModel(
        watching.model.tokenizer_file, name="other", weights="4567", default_steps=2
    )
    watching.start()
    watching.write("a.md", "# A\n\nWords.")
    watching.wait(lambda: watching.found() == {"a.md"})
    with watching.library.open("docs") as collection:
        report = reindex(
            collection,
            ReindexRequest(wish=IndexWish(), model="other"),
            embedder=lambda name: FakeEmbedder(watching.models[name]),
            resolve=lambda name: watching.models[name],
        )
    assert report.outcome == "done"
    watching.write("b.md", "# B\n\nOther words.")
    watching.wait(lambda: watching.found() == {"a.md", "b.md"})
    watching.write("c.md", "# C\n\nMore words.")
    watching.wait(lambda: watching.found() == {"a.md", "b.md", "c.md"})
    assert watching.loaded == ["fake", "other"]
    assert [line for line in watching.messages if "'docs' was rebuilt with the model other" in line]
    with watching.library.open("docs") as collection:
        assert collection.config.model == "other"
        assert {row.state for row in collection.ledger.rows()} == {"ready"}


def test_a_system_that_reports_nothing_is_made_up_for(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths, **options):
        raise OSError(28, "OS file watch limit reached")
        yield

    monkeypatch.setattr("watchfiles.watch", refuse)
    watching.start(rescan_s=0.5)
    watching.write("a.md", "# A\n\nWords.")
    watching.wait(lambda: watching.found() == {"a.md"})
    assert any("watch limit reached" in line for line in watching.messages)


def test_names_that_are_not_utf8_hide_no_change(watching: Watching) -> None:
    watching.start()
    watching.write(os.fsdecode(b"caf\xe9.md"), "# Coffee\n\nGround late.")
    watching.write("tea.md", "# Tea\n\nPoured early.")
    watching.wait(lambda: watching.found() == {r"caf\xe9.md", "tea.md"})
    watching.write("water.md", "# Water\n\nFrom the tap.")
    watching.wait(lambda: "water.md" in watching.found())
    (watching.folder / os.fsdecode(b"caf\xe9.md")).unlink()
    watching.wait(lambda: watching.found() == {"tea.md", "water.md"})
    assert watching.messages == []


def test_a_folder_whose_name_is_not_utf8_is_looked_at_now_and_then(watching: Watching) -> None:
    folder = watching.write(os.fsdecode(b"caf\xe9/a.md"), "# A\n\nWords.").parent
    watching.start(folder, rescan_s=0.5)
    watching.write(f"{folder.name}/b.md", "# B\n\nMore words.")
    watching.wait(lambda: watching.found() == {"a.md", "b.md"})
    assert any("look more often with --rescan" in line for line in watching.messages)


def test_a_deleted_collection_ends_it(watching: Watching) -> None:
    watching.start()
    watching.library.delete("docs")
    watching.write("a.md", "# A\n\nWords.")
    deadline = time.monotonic() + 30
    while watching.error is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert isinstance(watching.error, CollectionNotFoundError)


def test_what_does_not_exist_is_refused_at_once(watching: Watching) -> None:
    with pytest.raises(UsageError, match="does not exist"), watching.library.open("docs") as docs:
        FolderWatch(
            docs,
            [watching.folder / "gone"],
            embedder=lambda name: watching.embedder,
            options=WatchOptions(IndexOptions()),
            listener=watching,
            should_stop=lambda: True,
        )
    with pytest.raises(UsageError, match="settle is 0;"):
        WatchOptions(IndexOptions(), settle_s=0)
