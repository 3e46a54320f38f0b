"""Snapshots keep a collection as it was, cost little, and come back in one step."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from indexer.collections.rollback import roll_back
from indexer.errors import CollectionBusyError, StorageError, UsageError
from indexer.storage import archive, segments
from indexer.transfer.snapshot_list import list_snapshots
from indexer.transfer.snapshots import create_snapshot, delete_snapshot, restore_snapshot
from indexer.verification.verifier import verify
from tests.indexer.fake_model import vector
from tests.indexer.verification.collections import Place, make_place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for module in (segments, archive):
        monkeypatch.setattr(module, "SEGMENT_ROWS", 5)  # so that there are full files
    return make_place(tmp_path)


def hits(place: Place) -> list[tuple[str, float]]:
    query = vector("Sentence 3 about things")[None].astype(np.float32)
    with place.library.open("docs") as collection:
        (found,) = collection.store.search(query, top_k=50)
        words = collection.store.search_text("paper things", top_k=50)
    return [(hit.chunk_id, hit.score) for hit in [*found, *words]]


def sources(place: Place) -> set[str]:
    with place.library.open("docs") as collection:
        return {Path(item.source).name for item in collection.store.documents()}


def test_a_restored_snapshot_is_what_it_was(place):
    before = hits(place)
    with place.library.open("docs") as collection:
        made = create_snapshot(collection, "first")
    assert (made.documents, made.chunks) == (6, 12)
    (place.files / "000.md").write_text("Something else entirely.")
    (place.files / "new.md").write_text("A new paper about things.")
    place.index()
    after = hits(place)
    assert after != before

    with place.library.open("docs") as collection:
        record = restore_snapshot(collection.directory, "first")
        assert collection.store.dim == 16
    assert record.number == 2
    assert hits(place) == before
    report = verify(place.directory)
    assert report.is_sound, report.problems
    assert report.remarks == ()

    with place.library.open("docs") as collection:
        roll_back(collection.directory)
    assert hits(place) == after
    assert verify(place.directory).is_sound


def test_indexing_goes_on_in_a_restored_snapshot(place):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "first")
        restore_snapshot(collection.directory, "first")
    (place.files / "new.md").write_text("A new paper about things.")
    report = place.index()
    assert (report.new, report.unchanged) == (1, 6)
    assert "new.md" in sources(place)
    with place.library.open("docs") as collection:  # what the snapshot shares is not changed by it
        restore_snapshot(collection.directory, "first")
    assert "new.md" not in sources(place)
    assert verify(place.directory).is_sound


def test_full_files_of_vectors_and_the_index_are_shared(place):
    with place.library.open("docs") as collection:
        made = create_snapshot(collection)
    folder = place.directory / "snapshots" / made.name
    files = [path for path in folder.rglob("*") if path.is_file()]
    shared = {path.name for path in files if path.stat().st_nlink > 1}
    assert shared == {"00000.npy", "00001.npy", "index.faiss", "index.json"}
    assert not (folder / "vectors" / "00002.npy").samefile(
        place.directory / "content-1" / "vectors" / "00002.npy"
    )
    assert made.own_bytes < sum(path.stat().st_size for path in files)


def test_what_is_shared_takes_room_once(place):
    (before,) = place.library.summaries()
    with place.library.open("docs") as collection:
        made = create_snapshot(collection)
    (after,) = place.library.summaries()
    assert after.size_bytes - before.size_bytes < made.own_bytes + 10_000


def test_without_links_everything_is_copied(place, monkeypatch):
    def refuse(*paths: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", refuse)
    before = hits(place)
    with place.library.open("docs") as collection:
        create_snapshot(collection, "copied")
        restore_snapshot(collection.directory, "copied")
    assert hits(place) == before
    assert verify(place.directory).is_sound


def test_an_index_that_is_just_being_replaced_is_left_out_rather_than_kept_in_halves(place):
    index = place.directory / "index-1"
    whole = (index / "index.json").read_bytes()
    with place.library.open("docs") as collection:
        place.index_into(collection)
        (place.files / "new.md").write_text("# New\n\nOne more.")
        place.index_into(collection)
        assert (index / "index.json").read_bytes() != whole
        current = (index / "index.json").read_bytes()
        (index / "index.json").write_bytes(whole)  # as between the two steps of replacing a pair
        create_snapshot(collection, "between")
        assert not list((place.directory / "snapshots" / "between" / "index").iterdir())
        (index / "index.json").write_bytes(current)
        create_snapshot(collection, "after")
    assert len(list((place.directory / "snapshots" / "after" / "index").iterdir())) == 2
    assert verify(place.directory).is_sound
    restore_snapshot(place.directory, "between")
    assert verify(place.directory).is_sound


def test_snapshots_taken_while_others_write_are_whole(place):
    for number in range(6, 40):
        (place.files / f"{number:03}.md").write_text(f"# Paper {number}\n\nAbout {number}. " * 40)
    writer = threading.Thread(target=place.index)
    writer.start()
    names = []
    with place.library.open("docs") as collection:
        while writer.is_alive() or not names:
            names.append(f"s{len(names)}")
            create_snapshot(collection, names[-1])
    writer.join()
    assert verify(place.directory).is_sound
    counts = []
    for name in names[:3]:
        with place.library.open("docs") as collection:
            restore_snapshot(collection.directory, name)
            counts.append(len(collection.ledger.rows()))
        report = verify(place.directory)
        assert report.is_sound, report.problems
    assert counts == sorted(counts)


def test_a_damaged_snapshot_is_named_and_not_restored(place):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "first")
    path = place.directory / "snapshots" / "first" / "vectors" / "00002.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    before = hits(place)

    report = verify(place.directory)
    assert [problem.file for problem in report.problems] == ["snapshots/first/vectors/00002.npy"]
    assert "gircse snapshot delete docs first" in report.problems[0].remedy
    with (
        place.library.open("docs") as collection,
        pytest.raises(StorageError, match=r"00002\.npy.*nothing was changed"),
    ):
        restore_snapshot(collection.directory, "first")
    assert hits(place) == before
    assert sorted(path.name for path in place.directory.glob("content-*")) == ["content-1"]


def test_names_and_deletion(place):
    with place.library.open("docs") as collection:
        assert list_snapshots(collection.directory) == []
        create_snapshot(collection, "one")
        create_snapshot(collection, "two")
        assert [one.name for one in list_snapshots(collection.directory)] == ["one", "two"]
        with pytest.raises(UsageError, match="'one' already"):
            create_snapshot(collection, "one")
        for name in ("../out", ".hidden", "a/b", "ends."):
            with pytest.raises(UsageError, match="cannot be a snapshot's name"):
                create_snapshot(collection, name)
        with pytest.raises(UsageError, match="no snapshot 'three'; there are: one, two"):
            restore_snapshot(collection.directory, "three")
        delete_snapshot(collection.directory, "one")
        assert [one.name for one in list_snapshots(collection.directory)] == ["two"]
        (place.directory / "snapshots" / "two" / "snapshot.json").write_text("{}")
        (damaged,) = list_snapshots(collection.directory)
        assert "cannot be read" in damaged.problem
        with pytest.raises(StorageError, match="delete this one"):
            restore_snapshot(collection.directory, "two")
        delete_snapshot(collection.directory, "two")
    assert list((place.directory / "snapshots").iterdir()) == []


def test_restoring_waits_for_nobody(place):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "one")
        refused = []

        def restore() -> None:
            with place.library.open("docs") as other:
                try:
                    restore_snapshot(other.directory, "one")
                except CollectionBusyError as error:
                    refused.append(str(error))

        with collection.write_lock("indexing"):
            thread = threading.Thread(target=restore)
            thread.start()
            thread.join()
    assert len(refused) == 1
    assert "indexing" in refused[0]
