"""The pointer, what it keeps, and what is swept up behind it."""

import json
import shutil
from pathlib import Path

import pytest

from indexer.collections.config import read_identity, read_settings
from indexer.collections.generations import (
    GenerationRecord,
    Generations,
    next_number,
    publish,
    read_generations,
    rollback,
    sweep,
    update,
)
from indexer.errors import FormatVersionError, StorageError, UsageError
from indexer.storage.sealed_json import write_sealed
from tests.indexer.generation_making import (
    check_sound,
    draft_content,
    draft_index,
    make_collection,
    move_to_edition,
    open_library,
    renamed,
    swap,
    unpack_format_1,
)


@pytest.fixture
def collection(tmp_path):
    with make_collection(tmp_path / "home") as collection:
        yield collection


def folders(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.is_dir())


def test_a_new_collection_has_one_generation_in_folders_of_its_own(collection):
    generations = read_generations(collection.directory)
    assert (generations.live.number, generations.live.content) == (1, "content-1")
    assert (generations.live.store, generations.live.index) == ("faiss", "flat")
    assert generations.previous is None
    assert folders(collection.directory) == ["content-1", "index-1"]
    identity = json.loads((collection.directory / "collection.json").read_text())
    assert identity.keys() == {"format_version", "id", "created_at", "sha256"}
    assert identity["format_version"] == 2
    assert collection.config.id == collection.id == identity["id"]
    with collection.using() as generation:
        assert generation.directory == collection.directory / "content-1"
        assert generation.index_directory == collection.directory / "index-1"
        assert (generation.index_directory / "index.faiss").is_file()


def test_publishing_keeps_the_live_generation_as_the_previous_one(collection):
    second = draft_index(collection)
    third = renamed(second, number=3, measured={"recall_at_10": 0.5}, why="because")
    assert publish(collection.directory, second).previous.number == 1
    third.index_directory(collection.directory).mkdir()
    publish(collection.directory, third)
    assert read_generations(collection.directory) == Generations(third, second)
    assert next_number(collection.directory) == 4


def test_rolling_back_swaps_the_two(collection):
    with pytest.raises(UsageError, match=r"'docs' has no previous generation.*reindex docs"):
        rollback(collection.directory)
    first = read_generations(collection.directory).live
    second = draft_index(collection)
    publish(collection.directory, second)
    assert rollback(collection.directory) == Generations(first, second)
    assert rollback(collection.directory) == Generations(second, first)
    assert next_number(collection.directory) == 3


def test_what_was_measured_later_is_kept_with_its_generation(collection):
    first = read_generations(collection.directory).live
    second = draft_index(collection)
    publish(collection.directory, second)
    update(collection.directory, renamed(first, why="the first one"))
    update(collection.directory, renamed(second, measured={"p50_ms": 1.5}))
    after = read_generations(collection.directory)
    assert after.previous.why == "the first one"
    assert after.live.measured == {"p50_ms": 1.5}
    with pytest.raises(ValueError, match="no generation 2"):
        update(collection.directory, renamed(second, made_at=1.0))


@pytest.mark.parametrize("missing", ["content", "index"])
def test_a_generation_without_its_folders_is_not_published(collection, missing):
    record = draft_content(collection, 3)
    shutil.rmtree(collection.directory / f"{missing}-{record.number}")
    with pytest.raises(StorageError, match=rf"{missing}-2 is missing.*not published"):
        publish(collection.directory, record)
    assert read_generations(collection.directory).live.number == 1


def test_numbers_are_not_given_twice_while_a_draft_has_them(collection):
    record = draft_content(collection, 3)
    assert next_number(collection.directory) == record.number + 1
    with pytest.raises(ValueError, match="there already"):
        publish(collection.directory, read_generations(collection.directory).live)


def test_sweeping_leaves_live_previous_and_what_is_asked_to_stay(collection):
    directory = collection.directory
    for edition in range(1, 4):
        publish(directory, draft_content(collection, edition))
    draft, other = draft_content(collection, 4), draft_index(collection)
    (directory / ".swept-by-a-killed-process" / "vectors").mkdir(parents=True)
    (directory / "snapshots").mkdir()
    removed = sweep(directory, keep=[draft.content])
    assert sorted(removed) == [
        *("content-1", "content-2", "index-1", "index-2"),
        *(f"index-{draft.number}", f"index-{other.number}"),
    ]
    assert folders(directory) == [
        *("content-3", "content-4", "content-5", "index-3", "index-4", "snapshots"),
    ]
    check_sound(collection)


def test_an_index_is_swept_when_its_content_goes_on(collection):
    for _ in range(3):
        swap(collection, draft_index(collection))
    assert folders(collection.directory) == ["content-1", "index-3", "index-4"]
    check_sound(collection)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace('"live": 1', '"live": 2'), "damaged, or was edited by hand"),
        (lambda text: text[:-20], "Unterminated string"),
        (lambda text: "[]", "it holds no object"),
        (lambda text: '{"live": 1, "previous": null, "generations": []}', "1 is not listed"),
        (lambda text: '{"live": 1, "previous": null}', "it lacks 'generations'"),
        (
            lambda text: (
                '{"live": 1, "previous": null, "generations": '
                '[{"number": 1, "content": "../../etc"}]}'
            ),
            "no folder of a content",
        ),
        (
            lambda text: (
                '{"live": 1, "previous": null, "generations": '
                '[{"number": 1, "content": "content-1", "store": 7}]}'
            ),
            "wrong kind",
        ),
    ],
)
def test_a_damaged_pointer_is_named_with_what_to_do(tmp_path, damage, message):
    with make_collection(tmp_path / "home") as collection:
        path = collection.directory / "generations.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(StorageError, match=rf"generations.json cannot be read.*{message}") as error:
        open_library(tmp_path / "home").open("docs")
    assert "restore the file from a backup" in str(error.value)
    assert message.split()[-1] in open_library(tmp_path / "home").summaries()[0].problem


def test_a_lost_pointer_is_not_taken_for_a_collection_of_format_1(tmp_path):
    with make_collection(tmp_path / "home") as collection:
        (collection.directory / "generations.json").unlink()
    with pytest.raises(StorageError, match=r"generations.json cannot be read \(No such file"):
        open_library(tmp_path / "home").open("docs")


def test_what_a_newer_version_says_of_a_generation_is_passed_over_and_its_store_refused():
    record = GenerationRecord.from_dict(
        {"number": 4, "content": "content-2", "store": "other", "colour": "red"}
    )
    assert record == GenerationRecord(4, "content-2", "other")


def test_a_store_that_this_program_does_not_know_is_refused(collection):
    record = renamed(draft_index(collection), store="papyrus")
    publish(collection.directory, record)
    with pytest.raises(FormatVersionError, match=r"'papyrus'.*upgrade"):
        len(collection.store)
    rollback(collection.directory)
    check_sound(collection)


def test_a_full_disk_leaves_the_pointer_as_it_was(collection, monkeypatch):
    record = draft_index(collection)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("indexer.storage.sealed_json.os.fsync", fail)
    with pytest.raises(StorageError, match="the disk is full"):
        publish(collection.directory, record)
    monkeypatch.undo()
    assert read_generations(collection.directory).live.number == 1
    swap(collection, record)
    check_sound(collection)


def root_entries(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(".lock"))


def old_texts(collection) -> list[str]:
    return sorted(item.chunk.text for batch, _ in collection.store.scroll() for item in batch)


def test_a_collection_of_format_1_is_searched_and_written_where_it_is(tmp_path):
    library = unpack_format_1(tmp_path / "home")
    (summary,) = library.summaries()
    assert (summary.problem, summary.documents, summary.chunks) == (None, 3, 5)
    with library.open("old") as collection:
        assert (collection.config.model, collection.config.steps) == ("fake", 2)
        assert collection.search_defaults().dense_weight == 0.7
        assert read_generations(collection.directory).live.number == 0
        with collection.using() as generation:
            assert generation.directory == generation.index_directory == collection.directory
        assert len(old_texts(collection)) == 5
        assert collection.delete_documents([collection.store.documents()[0].id]) == 1
    with library.open("old") as collection:
        assert len(old_texts(collection)) == 3
    assert "content-1" not in root_entries(collection.directory)


def test_the_index_file_of_format_1_is_used_and_not_built_anew(tmp_path, monkeypatch):
    library = unpack_format_1(tmp_path / "home")
    monkeypatch.setattr(
        "indexer.storage.archive.VectorArchive.read", lambda *args: pytest.fail("it is built anew")
    )
    with library.open("old") as collection, collection.store.dense.snapshot():
        assert len(collection.store.dense) == 5


@pytest.mark.parametrize("kind", ["index", "content"])
def test_a_collection_of_format_1_gets_generations_by_a_swap(tmp_path, kind):
    library = unpack_format_1(tmp_path / "home")
    with library.open("old") as collection:
        identity, texts = collection.id, old_texts(collection)
        draft = draft_index(collection) if kind == "index" else draft_content(collection, 7)
        swap(collection, draft)
        assert collection.store is not None
        assert read_identity(collection.directory).format_version == 2
        assert collection.id == identity
        generations = read_generations(collection.directory)
        assert (generations.live.number, generations.previous.number) == (1, 0)
        assert collection.config.steps == (2 if kind == "index" else 7)
        with collection.write_lock():
            rollback(collection.directory)
        assert collection.config.steps == 2
        assert old_texts(collection) == texts
        with collection.write_lock():
            rollback(collection.directory)
    with library.open("old") as collection:
        assert collection.config.steps == (2 if kind == "index" else 7)


def test_what_format_1_left_is_swept_once_nothing_needs_it(tmp_path):
    library = unpack_format_1(tmp_path / "home")
    with library.open("old") as collection:
        move_to_edition(collection, 5)
        assert {"collection.db", "index.faiss", "vectors"} <= set(
            root_entries(collection.directory)
        )
        move_to_edition(collection, 6)
        assert root_entries(collection.directory) == [
            *("collection.json", "content-1", "content-2", "generations.json"),
            *("index-1", "index-2"),
        ]
        check_sound(collection)


def test_an_index_over_the_content_of_format_1_leaves_the_content_there(tmp_path):
    library = unpack_format_1(tmp_path / "home")
    with library.open("old") as collection:
        texts = old_texts(collection)
        swap(collection, draft_index(collection))
        swap(collection, draft_index(collection))
        names = root_entries(collection.directory)
        assert {"collection.db", "vectors", "settings.json"} <= set(names)
        assert "index.faiss" not in names
        assert old_texts(collection) == texts
        assert read_settings(collection.directory, collection.directory).steps == 2


@pytest.mark.parametrize("step", range(4))
def test_leaving_format_1_may_be_killed_between_any_two_steps(tmp_path, monkeypatch, step):
    """Of each file that is written on the way, the one after ``step`` others is not."""
    library = unpack_format_1(tmp_path / "home")
    done = []

    def write(path, values):
        if len(done) == step:
            raise KeyboardInterrupt
        done.append(path.name)
        write_sealed(path, values)

    with library.open("old") as collection:
        texts, identity = old_texts(collection), collection.id
        draft = draft_content(collection, 5)
        for module in ("config", "generations"):
            monkeypatch.setattr(f"indexer.collections.{module}.write_sealed", write)
        with pytest.raises(KeyboardInterrupt):
            publish(collection.directory, draft)
        monkeypatch.undo()
    with library.open("old") as collection:
        assert (collection.id, collection.config.steps) == (identity, 2)
        assert old_texts(collection) == texts
        publish(collection.directory, draft)
        assert (collection.id, collection.config.steps) == (identity, 5)
        check_sound(collection)
    assert done == ["settings.json", "generations.json", "collection.json"][:step]
