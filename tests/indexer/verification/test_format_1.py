"""Collections of format 1, with everything in their own directory, are verified and moved too."""

from pathlib import Path

import pytest

from indexer.collections.library import Library
from indexer.transfer.exporting import export_collection
from indexer.transfer.importing import import_collection
from indexer.transfer.snapshots import create_snapshot, restore_snapshot
from indexer.verification.repair import repair
from indexer.verification.verifier import verify
from tests.indexer.generation_making import unpack_format_1

NAME = "old"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = unpack_format_1(tmp_path / "home")
    with library.open(NAME):
        pass  # brings the database up to date
    return library


def texts(library: Library, name: str = NAME) -> list[str]:
    with library.open(name) as collection:
        return sorted(item.chunk.text for items, _ in collection.store.scroll() for item in items)


def test_an_old_collection_is_sound_and_says_what_it_lacks(library):
    report = verify(library.directory(NAME))
    assert report.is_sound, report.problems
    remarks = " ".join(report.remarks)
    assert "collection.json was written by a version without checksums" in remarks
    assert "before documents had checksums" in remarks
    assert "belongs to nothing" not in remarks


@pytest.mark.parametrize("name", ["vectors/00000.npy", "index.faiss", "collection.db"])
def test_damage_is_found_and_mended(library, name):
    repair(library.directory(NAME))  # adds the checksums, so that nothing goes unnoticed
    before = texts(library)
    path = library.directory(NAME) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x41
    path.write_bytes(content)

    report = verify(library.directory(NAME))
    assert name in {problem.file for problem in report.problems}
    done = repair(library.directory(NAME))
    for problem in done.after.problems:
        assert "gircse index" in problem.remedy, problem
    if name == "collection.db":  # what was on one page is gone until the files are read again
        assert set(texts(library)) <= set(before)
    else:
        assert texts(library) == before
    assert library.names() == [NAME]
    if name != "index.faiss":
        kept = library.directory(NAME) / "content-0.damaged-1" / name
        assert kept.read_bytes() == content


def test_an_old_collection_is_moved(library, tmp_path):
    before = texts(library)
    with library.open(NAME) as collection:
        create_snapshot(collection, "first")
        export_collection(collection, tmp_path / "old.zip")
        restore_snapshot(collection.directory, "first")
    assert texts(library) == before
    assert verify(library.directory(NAME)).is_sound
    import_collection(library, tmp_path / "old.zip", name="copy")
    assert texts(library, "copy") == before
    assert verify(library.directory("copy")).is_sound
