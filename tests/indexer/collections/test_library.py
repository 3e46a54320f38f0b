import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.collections.collection import Collection
from indexer.collections.library import Library, check_name
from indexer.errors import (
    CollectionBusyError,
    CollectionNotFoundError,
    FingerprintMismatchError,
    FormatVersionError,
    StorageError,
    UsageError,
)
from indexer.indexing.chunking import ChunkingConfig
from indexer.indexing.discovery import FileEntry
from indexer.reindexing.rebuild_note import RebuildRight
from tests.indexer.fake_model import FakeModel, write_tokenizer


@pytest.fixture
def model(tmp_path):
    return FakeModel(write_tokenizer(tmp_path))


@pytest.fixture
def library(tmp_path, model):
    return Library(tmp_path / "home", resolve=lambda name: model)


def directory(library: Library, name: str) -> Path:
    return library.home / "collections" / name


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["docs", "a", "my_papers-2.1", "-x", "A" * 64, "0"])
def test_good_names(name):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".hidden", "end.", "a/b", "a\\b", "../up", "a b", "a\n", "ü", "A" * 65),
        *("con", "NUL", "com1.txt", "LPT9", "a:b", "a*", "\0"),
    ],
)
def test_bad_names_are_refused_everywhere(library, model, name):
    for act in [
        library.open,
        library.delete,
        lambda bad: library.rename(bad, "good"),
        lambda bad: library.create(bad, model=model),
    ]:
        with pytest.raises(UsageError, match="name"):
            act(name)
    assert library.names() == []


def test_a_collection_keeps_what_it_was_made_with(library, model):
    chunking = ChunkingConfig(max_tokens=100, overlap_tokens=10, context_tokens=20)
    library.create("docs", model=model, steps=3, chunking=chunking).close()
    with library.open("docs") as collection:
        config = collection.config
        assert (collection.name, collection.home) == ("docs", library.home)
        assert (config.model, config.steps, config.dim) == ("fake", 3, 16)
        assert config.chunking == chunking
        assert config.fingerprint.model == model.fingerprint()
        assert collection.model_info() is model
        assert len(collection.store) == 0
        assert collection.store.dim == 16


def test_a_model_may_be_named(library, model):
    with library.create("docs", model="fake") as collection:
        assert collection.config.steps == model.default_steps


def test_the_home_is_closed_to_others(library, model):
    library.create("docs", model=model).close()
    assert library.home.stat().st_mode & 0o077 == 0


def test_a_home_that_not_all_parts_can_open_is_refused(tmp_path, model):
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    with pytest.raises(UsageError, match=r"udcff.*not UTF-8; choose another"):
        Library(home).create("docs", model=model)
    assert not home.exists()


def test_an_impossible_step_count_is_refused(library, model):
    with pytest.raises(UsageError, match="0 to 20 steps, not 21"):
        library.create("docs", model=model, steps=21)
    assert library.names() == []


def test_a_taken_name_is_refused_also_in_other_case(library, model):
    library.create("docs", model=model).close()
    for name in ["docs", "Docs"]:
        with pytest.raises(UsageError, match="'docs' already"):
            library.create(name, model=model)
    with pytest.raises(CollectionNotFoundError, match="there are: docs"):
        library.open("Docs")


def test_an_unknown_name_is_answered_with_those_there_are(library):
    with pytest.raises(CollectionNotFoundError, match=r"none yet.*gircse index PATH"):
        library.open("docs")


def test_another_model_is_refused_with_both_values_and_the_ways_out(library, model):
    with library.create("docs", model=model) as collection:
        collection.check_model(model)
        other = FakeModel(model.tokenizer_file, name="other", weights="9876")
        with pytest.raises(FingerprintMismatchError) as raised:
            collection.check_model(other, 5)
    message = str(raised.value)
    assert "model: fake / other" in message
    assert "weights: 0123 / 9876" in message
    assert "steps: 0 / 5" in message
    assert "--model fake --steps 0" in message
    assert "--collection OTHER" in message
    assert "gircse reindex docs --model other --steps 5" in message


def test_a_model_in_a_folder_is_found_from_anywhere(library, model, tmp_path, monkeypatch):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    mine = replace(model, name="models/mine")
    with library.create("docs", model=mine) as collection:
        assert collection.config.model == str(tmp_path / "models" / "mine")
        collection.check_model(mine)


def test_the_number_type_does_not_part_collections(library, model):
    class Halved(FakeModel):
        def fingerprint(self):
            return {**super().fingerprint(), "dtype": "bfloat16"}

    with library.create("docs", model=model) as collection:
        collection.check_model(Halved(model.tokenizer_file))


def test_deleting_removes_all_files(library, model):
    library.create("docs", model=model).close()
    library.create("other", model=model).close()
    library.delete("docs")
    assert library.names() == ["other"]
    assert entries(library.home / "collections") == ["other"]
    with pytest.raises(CollectionNotFoundError):
        library.delete("docs")


def hold(home: Path, model: FakeModel, held, release) -> None:
    collection = Library(home, resolve=lambda name: model).open("docs")
    with collection.write_lock("indexing"):
        held.set()
        release.wait(60)
    collection.close()


def test_a_collection_that_is_being_written_is_not_deleted(library, model):
    library.create("docs", model=model).close()
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(library.home, model, held, release))
    process.start()
    try:
        assert held.wait(60)
        for act in [
            lambda: library.delete("docs"),
            lambda: library.rename("docs", "new"),
            lambda: delete_nothing(library),
        ]:
            with pytest.raises(CollectionBusyError, match=f"process {process.pid} "):
                act()
        assert library.summaries()[0].problem is None
    finally:
        release.set()
        process.join(60)
    library.delete("docs")


def delete_nothing(library: Library) -> None:
    with library.open("docs") as collection:
        collection.delete_documents([])


def test_writing_to_a_deleted_collection_says_so(library, model):
    with library.create("docs", model=model) as collection:
        library.delete("docs")
        with pytest.raises(CollectionNotFoundError, match="was deleted"), collection.write_lock():
            pytest.fail("it is gone")
        assert library.names() == []
        library.create("docs", model=model).close()
        with pytest.raises(CollectionNotFoundError, match="was deleted"), collection.write_lock():
            pytest.fail("this is another one")


def test_folders_that_can_be_no_collections_are_none(library, model):
    library.create("docs", model=model).close()
    for name in ("lost+found", "docs (copy)", ".Trash-0", "\udcff"):
        (library.home / "collections" / name).mkdir()
    assert library.names() == ["docs"]
    assert [summary.name for summary in library.summaries()] == ["docs"]


def test_a_renamed_collection_is_the_same_one(library, model):
    with library.create("docs", model=model, steps=3) as collection:
        identity = collection.id
    library.create("other", model=model).close()
    library.rename("docs", "Papers")
    assert library.names() == ["Papers", "other"]
    assert library.name_of(identity) == "Papers"
    with library.open("Papers") as collection:
        assert (collection.id, collection.config.steps) == (identity, 3)
        assert collection.delete_documents([]) == 0  # it can be written to
    assert library.summaries()[0].problem is None
    library.rename("Papers", "papers")  # the case alone
    library.rename("papers", "papers")
    assert library.names() == ["other", "papers"]
    assert entries(directory(library, "papers")) == sorted(
        {*entries(directory(library, "other")), "write.lock", "reindex.lock"}
    )


def test_a_name_that_is_taken_or_impossible_is_refused_and_the_old_one_kept(library, model):
    library.create("docs", model=model).close()
    library.create("other", model=model).close()
    with pytest.raises(UsageError, match="there is a collection 'other' already"):
        library.rename("docs", "OTHER")
    with pytest.raises(UsageError, match="cannot be a collection's name"):
        library.rename("docs", "../docs")
    with pytest.raises(CollectionNotFoundError, match="there is no collection 'nope'"):
        library.rename("nope", "new")
    assert library.names() == ["docs", "other"]
    assert library.name_of("nobody") is None


def test_a_collection_that_is_being_rebuilt_is_not_renamed(library, model):
    library.create("docs", model=model).close()
    with (
        RebuildRight(directory(library, "docs")).hold(),
        pytest.raises(CollectionBusyError, match="is being rebuilt by process"),
    ):
        library.rename("docs", "new")
    assert library.names() == ["docs"]


def test_whoever_has_a_renamed_collection_open_is_told_its_new_name(library, model):
    with library.create("docs", model=model) as collection:
        library.rename("docs", "papers")
        with (
            pytest.raises(CollectionNotFoundError, match="was renamed to 'papers'"),
            collection.write_lock(),
        ):
            pytest.fail("it is not there")
        assert library.names() == ["papers"]


def test_what_killed_processes_left_is_swept_up(library, model):
    library.create("docs", model=model).close()
    folder = library.home / "collections"
    (folder / ".deleted-old-1").mkdir()
    (folder / ".new-old").mkdir()
    (folder / ".new-fresh").mkdir()
    long_ago = time.time() - 7200
    os.utime(folder / ".new-old", (long_ago, long_ago))
    assert library.names() == ["docs"]
    library.create("other", model=model).close()
    assert entries(folder) == [".new-fresh", "docs", "other"]


def test_a_failed_creation_leaves_nothing(library, model, monkeypatch):
    def fail(path):
        raise StorageError("the disk is full")

    monkeypatch.setattr("indexer.collections.generation.Database", fail)
    with pytest.raises(StorageError):
        library.create("docs", model=model)
    assert entries(library.home / "collections") == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "collection.json").unlink(), "collection.json cannot be read"),
        (lambda path: (path / "collection.json").write_text("{"), "collection.json cannot be read"),
        (lambda path: (path / "collection.json").write_text("[]"), "it holds no object"),
        (lambda path: (path / "collection.json").write_text("{}"), "cannot be read"),
        (
            lambda path: (path / "content-1/collection.db").unlink(),
            r"collection.db is missing.*`gircse verify docs` tells what to do",
        ),
        (
            lambda path: (path / "content-1/collection.db").write_bytes(b"x" * 9999),
            "not a database",
        ),
    ],
)
def test_damage_is_named_with_what_to_do_and_can_be_deleted(library, model, damage, message):
    library.create("docs", model=model).close()
    damage(directory(library, "docs"))
    with pytest.raises(StorageError, match=message) as raised:
        library.open("docs")
    assert "delete" in str(raised.value) or "verify" in message
    (summary,) = library.summaries()
    assert summary.problem is not None
    library.delete("docs")
    assert library.names() == []


def test_what_cannot_be_opened_leaves_no_file_open(library, model):
    with library.create("docs", model=model) as collection, collection.database.write() as database:
        database.execute("INSERT INTO state VALUES ('dim', 99)")
    before = entries(Path("/dev/fd"))
    with pytest.raises(StorageError, match="width 99, not 16") as caught:
        library.open("docs")
    assert caught.traceback
    assert entries(Path("/dev/fd")) == before


def test_a_newer_format_is_refused(library, model):
    library.create("docs", model=model).close()
    path = directory(library, "docs") / "collection.json"
    values = json.loads(path.read_text())
    del values["sha256"]
    path.write_text(json.dumps({**values, "format_version": 99}))
    with pytest.raises(FormatVersionError, match=r"format 99.*upgrade"):
        library.open("docs")
    assert "format 99" in (library.summaries()[0].problem or "")


def test_summaries_count_without_opening_the_store(library, model):
    assert library.summaries() == []
    with library.create("docs", model=model, steps=2) as collection:
        fill(collection, 3)
    library.create("empty", model=model).close()
    docs, empty = library.summaries()
    assert (docs.name, docs.documents, docs.chunks, docs.model, docs.steps) == (
        *("docs", 2, 14),
        *("fake", 2),
    )
    assert docs.states == {"ready": 2, "failed": 1}
    assert docs.size_bytes > 1000
    assert abs(docs.modified_at - time.time()) < 60
    assert (empty.documents, empty.chunks, empty.states) == (0, 0, {})


def fill(collection: Collection, files: int) -> None:
    entries = [FileEntry(f"/{number}.md", 1, 1) for number in range(files)]
    collection.ledger.queue(entries)
    for item in entries[:-1]:
        collection.ledger.finish(item.key, size=1, mtime_ns=1, sha256="aa", chunks=7)
    collection.ledger.mark([entries[-1].key], "failed")


def test_summing_up_a_hundred_thousand_files_is_quick(library, model):
    with library.create("docs", model=model) as collection, collection.database.write():
        fill(collection, 100_000)
    started = time.perf_counter()
    assert library.summaries()[0].chunks == 7 * 99_999
    assert time.perf_counter() - started < 1.0
