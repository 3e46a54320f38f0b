"""Embeddings are kept once each, exactly, and damage is found."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.documents import text_hash
from indexer.errors import StorageError
from indexer.storage import segments
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database

DIM = 8


def unit(count: int, *, seed: int = 0, dim: int = DIM) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def keys(count: int, *, prefix: str = "text") -> list[bytes]:
    return [text_hash(f"{prefix} {number}") for number in range(count)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "collection.db")
    yield database
    database.close()


@pytest.fixture
def archive(tmp_path: Path, database: Database) -> Iterator[VectorArchive]:
    archive = VectorArchive(tmp_path, database)
    yield archive
    archive.close()


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_ROWS", 10)
    monkeypatch.setattr("indexer.storage.archive.SEGMENT_ROWS", 10)


def test_vectors_come_back_in_any_order_bit_for_bit(archive: VectorArchive) -> None:
    vectors = unit(20)

    rows = archive.append(keys(20), vectors)

    assert rows == list(range(20))
    assert len(archive) == 20
    assert archive.dim == DIM
    wanted = [3, 19, 3, 0, 4, 5, 6, 18]
    np.testing.assert_array_equal(archive.read(wanted), vectors[wanted])
    assert archive.read([]).shape == (0, DIM)
    assert archive.read([]).dtype == np.float32


def test_a_text_is_kept_once_under_its_first_vector(archive: VectorArchive) -> None:
    first, second = unit(3), unit(3, seed=1)
    a, b, c = keys(3)
    assert archive.append([a, b, a], first) == [0, 1, 0]

    assert archive.append([b, c, c], second) == [1, 2, 2]

    assert archive.lookup([c, a, text_hash("other")]) == {a: 0, c: 2}
    np.testing.assert_array_equal(archive.read([0, 1, 2]), [first[0], first[1], second[1]])
    assert archive.append([], unit(0)) == []
    assert len(archive) == 3


def test_many_hashes_are_looked_up_at_once(archive: VectorArchive) -> None:
    hashes = keys(1777)
    archive.append(hashes, unit(1777))

    assert archive.lookup(hashes) == {key: row for row, key in enumerate(hashes)}


@pytest.mark.usefixtures("small_segments")
def test_files_hold_a_fixed_number_of_rows_and_numpy_loads_them(
    archive: VectorArchive, tmp_path: Path
) -> None:
    vectors = unit(37)
    for begin, end in ((0, 3), (3, 25), (25, 37)):
        archive.append(keys(37)[begin:end], vectors[begin:end])

    files = sorted((tmp_path / "vectors").iterdir())

    assert [path.name for path in files] == ["00000.npy", "00001.npy", "00002.npy", "00003.npy"]
    loaded = [np.load(path, mmap_mode="r") for path in files]
    assert [len(part) for part in loaded] == [10, 10, 10, 7]
    np.testing.assert_array_equal(np.concatenate(loaded), vectors)
    order = np.random.default_rng(2).permutation(37)
    np.testing.assert_array_equal(archive.read(order), vectors[order])
    assert archive.verify() == []


def test_another_process_sees_new_rows(archive: VectorArchive, tmp_path: Path) -> None:
    other = VectorArchive(tmp_path, Database(tmp_path / "collection.db"))
    vectors = unit(6)
    archive.append(keys(3), vectors[:3])
    np.testing.assert_array_equal(other.read([2]), vectors[2:3])

    archive.append(keys(6)[3:], vectors[3:])

    np.testing.assert_array_equal(other.read([5, 2]), vectors[[5, 2]])
    assert other.append(keys(1), vectors[:1]) == [0]
    other.close()


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (unit(2) * 1.01, "vector 0 has length 1.01"),
        (np.vstack([unit(1), np.full((1, DIM), np.nan, np.float32)]), "vector 1 has length nan"),
        (np.vstack([unit(1), np.full((1, DIM), np.inf, np.float32)]), "vector 1 has length inf"),
        (np.zeros((2, DIM), np.float32), "length 0"),
        (unit(2).astype(np.float64), r"float32, not \(2, 8\) float64"),
        (unit(2)[0], r"\(N, D\) float32, not \(8,\)"),
        (unit(2, dim=DIM + 1), "width 8, not 9"),
        (unit(3), "2 hashes for 3 vectors"),
    ],
)
def test_what_is_no_embedding_is_refused(archive: VectorArchive, vectors, words: str) -> None:
    archive.append(keys(1, prefix="first"), unit(1))

    with pytest.raises(ValueError, match=words):
        archive.append(keys(2), vectors)
    assert len(archive) == 1


def test_another_width_than_the_collections_is_refused(
    archive: VectorArchive, database: Database, tmp_path: Path
) -> None:
    assert VectorArchive(tmp_path, database, dim=5).dim == 5
    archive.append(keys(1), unit(1))
    assert VectorArchive(tmp_path, database, dim=DIM).dim == DIM
    with pytest.raises(StorageError, match="width 8, not 5"):
        VectorArchive(tmp_path, database, dim=5)


@pytest.mark.parametrize("row", [-1, 3, 10**9])
def test_a_row_that_was_never_recorded_is_refused(archive: VectorArchive, row: int) -> None:
    archive.append(keys(3), unit(3))

    with pytest.raises(IndexError, match="3 are recorded"):
        archive.read([0, row])


def test_rows_of_a_writer_that_was_killed_are_written_over(
    archive: VectorArchive, database: Database, tmp_path: Path
) -> None:
    archive.append(keys(2), unit(2))
    path = tmp_path / "vectors" / "00000.npy"
    with path.open("ab") as stream:
        stream.write(os.urandom(10_000))

    later = unit(2, seed=1)
    assert archive.append(keys(2, prefix="later"), later) == [2, 3]

    np.testing.assert_array_equal(archive.read([2, 3]), later)
    assert archive.verify() == []
    np.testing.assert_array_equal(np.load(path)[2:], later)


@pytest.mark.usefixtures("small_segments")
def test_one_flipped_bit_is_found_with_file_and_rows(
    archive: VectorArchive, tmp_path: Path
) -> None:
    for number in range(5):
        archive.append(keys(5, prefix=f"{number}"), unit(5, seed=number))
    path = tmp_path / "vectors" / "00001.npy"
    content = bytearray(path.read_bytes())
    content[-1 - 3 * DIM * 4] ^= 1
    path.write_bytes(bytes(content))

    (damaged,) = archive.verify()

    assert (damaged.path, damaged.first_row, damaged.last_row) == (path, 15, 19)
    assert "rows 15 to 19" in str(damaged)
    assert "differs" in damaged.reason


def test_one_flipped_bit_of_a_header_is_found(archive: VectorArchive, tmp_path: Path) -> None:
    archive.append(keys(15), unit(15))
    assert archive.header_faults() == []
    file = tmp_path / "vectors" / "00000.npy"
    content = file.read_bytes()
    for position in range(128):
        altered = bytearray(content)
        altered[position] ^= 1
        file.write_bytes(altered)
        assert [path for path, _ in archive.header_faults()] == [file]
    assert archive.verify() == []


def test_a_header_may_promise_rows_of_a_writer_that_was_killed(
    archive: VectorArchive, tmp_path: Path
) -> None:
    archive.append(keys(4), unit(4))
    list(segments.Segments(tmp_path / "vectors", "fp32").write(4, unit(5, seed=1)))
    assert archive.header_faults() == []
    archive.append(keys(1, prefix="later"), unit(1, seed=2))
    assert archive.header_faults() == []


@pytest.mark.usefixtures("small_segments")
def test_a_missing_and_a_cut_off_file_are_named(archive: VectorArchive, tmp_path: Path) -> None:
    archive.append(keys(30), unit(30))
    archive.close()
    folder = tmp_path / "vectors"
    (folder / "00000.npy").unlink()
    os.truncate(folder / "00002.npy", 200)

    assert [one.first_row for one in archive.verify()] == [0, 20]
    with pytest.raises(StorageError, match=r"00000\.npy: No such file"):
        archive.read([1])
    with pytest.raises(StorageError, match=r"00002\.npy is cut off"):
        archive.read([29])


def test_rows_without_a_checksum_are_found(archive: VectorArchive, database: Database) -> None:
    archive.append(keys(2), unit(2))
    archive.append(keys(2, prefix="later"), unit(2))
    with database.write() as connection:
        connection.execute("DELETE FROM vector_batches WHERE first_row = 2")

    assert [(one.first_row, one.last_row) for one in archive.verify()] == [(2, 3)]


def test_a_disk_that_fills_up_is_named_and_nothing_is_recorded(
    archive: VectorArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.append(keys(2), unit(2))
    pwrite = os.pwrite

    def half(descriptor: int, content: memoryview, offset: int) -> int:
        if len(content) <= 16:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(descriptor, content[: len(content) // 2], offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(StorageError, match=r"the disk is full: 320 bytes were needed, .* are free"):
        archive.append(keys(10, prefix="later"), unit(10))
    monkeypatch.undo()

    assert len(archive) == 2
    assert archive.verify() == []
    assert archive.append(keys(10, prefix="later"), unit(10)) == list(range(2, 12))
    assert archive.verify() == []


def test_another_fault_of_the_disk_is_named(
    archive: VectorArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(StorageError, match=r"00000\.npy: Input/output error"):
        archive.append(keys(1), unit(1))
    assert len(archive) == 0


def test_a_disk_that_is_full_from_the_start_is_named(
    archive: VectorArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "mkdir", fail)
    with pytest.raises(StorageError, match=r"00000\.npy: the disk is full: .* are free"):
        archive.append(keys(1), unit(1))
    assert not (tmp_path / "vectors").exists()


def test_a_full_disk_is_named_without_a_number_that_is_not_known(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(StorageError, match=r"a: the disk is full: [\d,]+ bytes are free; free"),
        segments.disk_errors(tmp_path / "a", needed=0),
    ):
        raise full


def test_a_removed_collection_is_not_made_again_by_writing(
    database: Database, tmp_path: Path
) -> None:
    home = tmp_path / "collection"
    home.mkdir()
    archive = VectorArchive(home, database)
    archive.append(keys(2), unit(2))
    shutil.rmtree(home / "vectors")
    with pytest.raises(StorageError, match=r"00000\.npy: No such file"):
        archive.append(keys(1, prefix="later"), unit(1))
    assert len(archive) == 2
    archive.close()


def test_a_collection_that_was_removed_while_empty_is_not_made_again(
    database: Database, tmp_path: Path
) -> None:
    archive = VectorArchive(tmp_path / "removed", database)
    with pytest.raises(StorageError, match=r"00000\.npy: No such file"):
        archive.append(keys(1), unit(1))
    assert not (tmp_path / "removed").exists()


def test_closing_takes_no_file_from_a_thread_that_reads_it(
    archive: VectorArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = unit(4)
    archive.append(keys(4), vectors)
    pread, descriptors = os.pread, set()

    def close_first(descriptor: int, count: int, offset: int) -> bytes:
        archive.close()
        descriptors.add(descriptor)
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", close_first)
    np.testing.assert_array_equal(archive.read([0, 2]), vectors[[0, 2]])
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


# --- half precision -------------------------------------------------------------------------------


@pytest.fixture
def halves(database: Database, tmp_path: Path) -> VectorArchive:
    return VectorArchive(tmp_path, database, vectors="fp16")


@pytest.mark.usefixtures("small_segments")
def test_half_precision_takes_half_the_room_and_numpy_loads_it(
    halves: VectorArchive, tmp_path: Path
) -> None:
    vectors = unit(25, dim=384)
    rows = halves.append(keys(25), vectors)
    found = halves.read(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    cosines = (found * vectors).sum(axis=1)
    assert cosines.min() > 1 - 1e-6
    files = sorted((tmp_path / "vectors").iterdir())
    loaded = [np.load(path, mmap_mode="r") for path in files]
    assert {array.dtype.str for array in loaded} == {"<f2"}
    np.testing.assert_array_equal(np.concatenate(loaded), vectors.astype("<f2"))
    assert files[0].stat().st_size == 128 + 10 * 384 * 2
    assert halves.verify() == []
    assert halves.header_faults() == []


def test_half_precision_read_and_kept_again_is_the_same_bytes(
    halves: VectorArchive, tmp_path: Path
) -> None:
    halves.append(keys(500), unit(500, dim=384))
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(Database(copy / "collection.db")) as other:
        archive = VectorArchive(copy, other, vectors="fp16")
        archive.append(keys(500), halves.read(range(500)))
        np.testing.assert_array_equal(archive.read(range(500)), halves.read(range(500)))
    one, two = tmp_path / "vectors" / "00000.npy", copy / "vectors" / "00000.npy"
    assert one.read_bytes() == two.read_bytes()


def test_an_archive_stays_with_the_type_that_it_was_begun_in(
    halves: VectorArchive, database: Database, tmp_path: Path
) -> None:
    halves.append(keys(2), unit(2))
    later = VectorArchive(tmp_path, database, vectors="fp32")
    assert later.vectors == "fp16"
    later.append(keys(2, prefix="later"), unit(2, seed=1))
    np.testing.assert_array_equal(later.read([0, 3]), halves.read([0, 3]))


def test_an_archive_of_before_there_was_a_choice_is_read(
    archive: VectorArchive, database: Database, tmp_path: Path
) -> None:
    vectors = unit(3)
    archive.append(keys(3), vectors)
    with database.write() as connection:
        connection.execute("DELETE FROM state WHERE name = 'vectors'")
    older = VectorArchive(tmp_path, database, vectors="fp16")
    np.testing.assert_array_equal(older.read([2, 1, 0]), vectors[::-1])


def test_a_flipped_bit_of_half_precision_is_found(halves: VectorArchive, tmp_path: Path) -> None:
    halves.append(keys(4), unit(4, dim=16))
    path = tmp_path / "vectors" / "00000.npy"
    content = bytearray(path.read_bytes())
    content[128 + 3 * 32] ^= 1
    path.write_bytes(content)
    (damaged,) = VectorArchive(tmp_path, halves._database).verify()
    assert (damaged.first_row, damaged.last_row) == (0, 3)
