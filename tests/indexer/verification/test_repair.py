"""A repair mends what is derived, keeps what is sound, and queues what suffered."""

import json
import os
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from indexer.collections.rollback import roll_back
from indexer.errors import CollectionBusyError, StorageError
from indexer.transfer.snapshots import create_snapshot, restore_snapshot
from indexer.verification.repair import Repair, repair
from indexer.verification.verifier import verify
from tests.indexer.fake_model import vector
from tests.indexer.verification.collections import Place, make_place


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Place:
    return make_place(tmp_path_factory.mktemp("original"))


@pytest.fixture
def place(original: Place, tmp_path: Path) -> Place:
    return original.copy(tmp_path)


def flip(path: Path, position: int, *, bits: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= bits
    path.write_bytes(content)


def sql(place: Place, statement: str, *, content: str = "content-1") -> None:
    """Alter the database behind the program's back, as one that nobody sealed."""
    path = place.directory / content / "collection.db"
    connection = sqlite3.connect(path)
    connection.executescript(statement)
    connection.commit()
    connection.close()
    path.with_name("collection.seal.json").unlink()


def hits(place: Place) -> list[tuple[str, float]]:
    query = vector("Sentence 3 about things")[None].astype(np.float32)
    with place.library.open("docs") as collection:
        (found,) = collection.store.search(query, top_k=50)
        words = collection.store.search_text("paper things", top_k=50)
    return [(hit.chunk_id, hit.score) for hit in [*found, *words]]


def mended(place: Place, original: Place) -> Repair:
    """Repair, index again where that is advised, and check that all is as it was."""
    done = repair(place.directory)
    assert not done.before.is_sound
    for problem in done.after.problems:
        assert "gircse index" in problem.remedy, done.after.problems
    place.index()
    report = verify(place.directory)
    assert report.is_sound, report.problems
    assert hits(place) == hits(original)
    assert place.index().unchanged == 6
    return done


def test_a_sound_collection_is_left_alone(place):
    done = repair(place.directory)
    assert done.done == ()
    assert done.after.is_sound


def test_the_index_is_built_anew(place, original):
    flip(place.directory / "index-1" / "index.faiss", 200)
    done = mended(place, original)
    assert done.after.is_sound
    assert (place.directory / "index-1" / "index.faiss.damaged").exists()


@pytest.mark.parametrize("name", ["collection.json", "generations.json", "content-1/settings.json"])
def test_a_missing_small_file_is_told_with_what_helps(place, name):
    (place.directory / name).unlink()
    done = repair(place.directory)
    assert done.done == ()
    (problem,) = [one for one in done.after.problems if one.file == name]
    assert (problem.what, problem.remedy) == ("it is missing", "restore the file from a backup")


def test_a_missing_folder_of_an_index_is_made_anew(place, original):
    shutil.rmtree(place.directory / "index-1")
    (problem,) = verify(place.directory).problems
    assert (problem.file, problem.what) == ("index-1", "it is missing")
    assert hits(place) == hits(original)  # searched all the same
    done = mended(place, original)
    assert done.after.is_sound
    assert (place.directory / "index-1" / "index.faiss").exists()


def test_where_the_database_is_gone_a_snapshot_helps(place, original):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "one")
    (place.directory / "content-1" / "collection.db").unlink()
    (problem,) = verify(place.directory).problems
    assert problem.remedy.startswith("restore a snapshot")
    done = repair(place.directory)
    assert (done.done, [one.what for one in done.after.problems]) == ((), ["it is missing"])
    with pytest.raises(StorageError, match=r"collection\.db is missing.*`gircse verify docs`"):
        place.library.open("docs")
    restore_snapshot(place.directory, "one")
    assert hits(place) == hits(original)
    assert repair(place.directory).after.is_sound


def test_where_the_database_is_gone_the_previous_generation_helps(place, original):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "one")
    restore_snapshot(place.directory, "one")
    (place.directory / "content-2" / "collection.db").unlink()
    (problem,) = verify(place.directory).problems
    assert "generation 1 with `gircse collections rollback docs`" in problem.remedy
    report = roll_back(place.directory)
    assert (report.live.number, report.missing, report.surplus) == (1, 0, 0)
    assert "collection.db is missing" in report.problem
    assert hits(place) == hits(original)
    with pytest.raises(StorageError, match=r"collection\.db is missing"):
        roll_back(place.directory)
    assert repair(place.directory).after.is_sound


@pytest.mark.parametrize("name", ["collection.json", "generations.json", "content-1/settings.json"])
def test_one_altered_byte_of_a_small_file_is_put_right(place, original, name):
    path = place.directory / name
    clean = path.read_bytes()
    flip(path, 20)
    done = mended(place, original)
    assert done.after.is_sound
    assert path.read_bytes() == clean
    assert path.with_name(f"{path.name}.damaged-1").exists()


def test_more_than_one_altered_byte_is_told(place):
    flip(place.directory / "collection.json", 20)
    flip(place.directory / "collection.json", 40)
    done = repair(place.directory)
    assert done.done == ()
    assert [problem.file for problem in done.after.problems] == ["collection.json"]
    assert "backup" in done.after.problems[0].remedy


def test_a_damaged_seal_is_written_anew(place, original):
    flip(place.directory / "content-1" / "collection.seal.json", 30)
    assert mended(place, original).after.is_sound
    assert not (place.directory / "content-2").exists()


def test_so_is_that_of_the_previous_generation(place):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "one")
    restore_snapshot(place.directory, "one")
    flip(place.directory / "content-1" / "collection.seal.json", 30)
    done = repair(place.directory)
    assert done.after.is_sound
    assert done.done == (
        "content-1/collection.seal.json: written anew; the database itself is sound",
    )
    assert roll_back(place.directory).live.number == 1


def test_what_was_set_aside_is_named_once(place):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "one")
    restore_snapshot(place.directory, "one")
    flip(place.directory / "content-1" / "collection.db", 9000)
    assert repair(place.directory).after.remarks == (
        "content-1.damaged-1 was set aside as damaged; delete it",
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_database_with_an_altered_byte_is_replaced_by_what_is_sound_of_it(place, original, seed):
    path = place.directory / "content-1" / "collection.db"
    flip(path, random.Random(seed).randrange(path.stat().st_size), bits=0x41)
    damaged = path.read_bytes()
    done = mended(place, original)
    aside = place.directory / "content-1.damaged-1"
    assert (aside / "collection.db").read_bytes() == damaged
    assert (aside / "vectors" / "00000.npy").exists()
    assert "content-1.damaged-1" in " ".join(done.done)
    assert any("content-1.damaged-1" in remark for remark in verify(place.directory).remarks)


@pytest.mark.parametrize("page", range(2, 14, 3))
def test_a_database_that_lost_a_page_is_replaced_by_what_is_left(place, original, page):
    path = place.directory / "content-1" / "collection.db"
    content = bytearray(path.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = os.urandom(4096)
    path.write_bytes(content)
    mended(place, original)


def test_altered_documents_are_read_again(place, original):
    sql(place, "UPDATE documents SET title = 'Forged' WHERE source LIKE '%000.md'")
    done = repair(place.directory)
    (problem,) = done.after.problems
    assert problem.documents == (str(place.files / "000.md"),)
    assert "documents delete" in problem.remedy  # where the file is gone for good
    assert not (place.directory / "content-2").exists()
    with place.library.open("docs") as collection:  # it stays searchable meanwhile
        assert len(collection.store.documents()) == 6
    report = place.index()
    assert (report.updated, report.unchanged, report.embedded) == (1, 5, 0)
    assert verify(place.directory).is_sound
    assert hits(place) == hits(original)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE files SET chunks = chunks + 1 WHERE source LIKE '%000.md'",
        "UPDATE files SET state = 'gone' WHERE source LIKE '%000.md'",
        "UPDATE files SET document_id = 'x' WHERE source LIKE '%000.md'",
        "DELETE FROM files WHERE source LIKE '%000.md'",
        "UPDATE chunk_words_content SET c1 = c1 || 'x' WHERE id = 1",
        "DELETE FROM chunk_words_data WHERE id > 10",
        "DELETE FROM chunk_words_docsize WHERE id = 1",
        "DELETE FROM chunk_words_content WHERE id = 1",
        "DELETE FROM chunks WHERE key = 1",
        "DELETE FROM document_texts WHERE document = 1",
        "DELETE FROM vectors WHERE row = 0",
        "DELETE FROM vectors WHERE row = 11",
        "DELETE FROM vector_batches",
        "UPDATE state SET value = 7 WHERE name = 'chunks'",
        "CREATE TABLE foreign_table (x)",
    ],
)
def test_tables_that_do_not_agree_are_settled(place, original, statement):
    sql(place, statement)
    mended(place, original)


@pytest.mark.parametrize("position", [5, 100, 128, 200, 600])
def test_altered_vectors_are_computed_again(place, original, position):
    path = place.directory / "content-1" / "vectors" / "00000.npy"
    flip(path, position, bits=0x7F)
    damaged = path.read_bytes()
    done = mended(place, original)
    aside = place.directory / "content-1.damaged-1" / "vectors" / "00000.npy"
    assert aside.read_bytes() == damaged
    assert done.after.is_sound == (position < 128)  # a header is known without its file


@pytest.mark.parametrize("size", [None, 0, 100, 300])
def test_a_missing_or_cut_off_file_of_vectors_is_computed_again(place, original, size):
    path = place.directory / "content-1" / "vectors" / "00000.npy"
    if size is None:
        path.unlink()
    else:
        os.truncate(path, size)
    mended(place, original)


def test_a_damaged_log_loses_no_more_than_it_must(place, original):
    path = place.directory / "content-1" / "collection.db"
    (place.files / "more.md").write_text("One more paper about things.")
    kept = path.read_bytes()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN")  # keeps the log from being joined with the database
    holder.execute("SELECT count(*) FROM files").fetchone()
    place.index()
    log = path.with_name("collection.db-wal")
    content = bytearray(log.read_bytes())
    holder.close()
    path.write_bytes(kept)
    content[32 + 24 + 2000] ^= 1
    log.write_bytes(content)
    path.with_name("collection.seal.json").unlink(missing_ok=True)

    report = verify(place.directory)
    assert [problem.file for problem in report.problems] == ["content-1/collection.db-wal"]
    assert log.read_bytes() == content  # looking at it changed nothing
    repair(place.directory)
    place.index()
    (place.files / "more.md").unlink()
    assert verify(place.directory).is_sound
    aside = place.directory / "content-1.damaged-1"
    assert (aside / "collection.db-wal").read_bytes() == content


def test_a_damaged_previous_generation_is_dropped(place, original):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "one")
        restore_snapshot(collection.directory, "one")
    flip(place.directory / "content-1" / "collection.db", 9000)
    done = repair(place.directory)
    assert done.after.is_sound, done.after.problems
    assert hits(place) == hits(original)
    pointer = json.loads((place.directory / "generations.json").read_text())
    assert (pointer["live"], pointer["previous"]) == (2, None)
    assert (place.directory / "content-1.damaged-1" / "collection.db").exists()


def test_a_sound_previous_generation_outlives_a_repair(place):
    with place.library.open("docs") as collection:
        create_snapshot(collection, "one")
        restore_snapshot(collection.directory, "one")
    flip(place.directory / "content-2" / "collection.db", 9000)
    repair(place.directory)
    with place.library.open("docs") as collection:
        roll_back(collection.directory)
    assert verify(place.directory).is_sound


def test_documents_of_before_checksums_get_one(place):
    sql(place, "UPDATE documents SET content_sha256 = NULL, record_sha256 = NULL")
    report = verify(place.directory)
    assert report.is_sound
    assert "6 documents" in " ".join(report.remarks)
    done = repair(place.directory)
    assert "6 documents got a checksum" in done.done
    assert done.after.remarks == ()


def test_nobody_else_may_write_meanwhile(place):
    flip(place.directory / "index-1" / "index.faiss", 200)
    with place.library.open("docs") as collection, collection.write_lock("indexing"):
        with pytest.raises(CollectionBusyError, match="indexing"):
            repair(place.directory)
        report = verify(place.directory)
        assert not report.is_sound
        assert "indexing" in " ".join(report.remarks)


@pytest.mark.parametrize("column", ["source", "id", "title", "metadata"])
@pytest.mark.parametrize("table", ["documents", "files"])
def test_bytes_that_are_no_text_are_found(place, table, column):
    column = {("files", "id"): "document_id", ("files", "title"): "message"}.get(
        (table, column), column
    )
    if (table, column) == ("files", "metadata"):
        column = "hint"
    where = "source LIKE '%000.md'"
    sql(place, f"UPDATE {table} SET {column} = CAST(x'61ffaf' AS TEXT) WHERE {where}")
    assert not verify(place.directory).is_sound
    repair(place.directory)
    place.index()
    assert verify(place.directory).is_sound
    with place.library.open("docs") as collection:
        assert len(collection.store.documents()) == 6
