import numpy as np
import pytest

from indexer.distributed.shards import (
    SHARD_SUFFIX,
    Shard,
    ShardDraft,
    ShardFile,
    ShardNote,
    drop_drafts,
)
from indexer.errors import StorageError
from tests.indexer.distributed.in_process import unit

DIM = 8
NOTE = ShardNote("this", 7, 1.5)


def files(count: int = 40) -> list[ShardFile]:
    return [
        ShardFile(f"/d/{n}\udcff".encode("utf-8", "surrogateescape"), n, n, n % 2 == 0, b"{}", 0.5)
        for n in range(count)
    ]


def write(folder, *, texts: int = 20, at_once: int = 7):
    keys = [bytes([n] * 32) for n in range(texts)]
    vectors = unit(np.random.default_rng(0).standard_normal((texts, DIM)))
    with ShardDraft(folder, dim=DIM) as draft:
        for begin in range(0, texts, at_once):
            draft.add(keys[begin : begin + at_once], vectors[begin : begin + at_once])
        name = draft.finish(files(), NOTE)
    return folder / name, dict(zip(keys, vectors, strict=True))


def test_a_shard_gives_back_what_was_put_in(tmp_path):
    path, vectors = write(tmp_path)
    shard = Shard(path)
    assert shard.note == NOTE
    assert list(shard.files()) == files()
    assert shard.paths() == [file.path for file in files()]
    assert shard.stamps() == {f.path: (f.size, f.mtime_ns) for f in files() if f.is_whole}
    for key, vector in reversed(vectors.items()):
        np.testing.assert_array_equal(shard.vector(key), vector)
    assert not shard.has(b"\xff" * 32)
    with pytest.raises(KeyError):
        shard.vector(b"\xff" * 32)
    shard.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_shard_without_texts_is_one(tmp_path):
    with ShardDraft(tmp_path, dim=DIM) as draft:
        name = draft.finish(files(3), NOTE)
    assert len(list(Shard(tmp_path / name).files())) == 3
    assert not Shard(tmp_path / name).has(bytes(32))


def test_a_draft_that_is_given_up_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), ShardDraft(tmp_path, dim=DIM):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_drafts_of_killed_processes_are_dropped_and_shards_are_not(tmp_path):
    path, _ = write(tmp_path)
    ShardDraft(tmp_path, dim=DIM)
    assert len(list(tmp_path.iterdir())) == 2
    drop_drafts(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.suffix == SHARD_SUFFIX


def read_all(path) -> None:
    shard = Shard(path)
    for _ in shard.files():
        pass
    for n in range(20):
        shard.vector(bytes([n] * 32))


@pytest.mark.parametrize("name", ["files.parquet", "vectors.parquet"])
def test_a_flipped_byte_never_gives_another_vector_or_answer(tmp_path, name):
    path, vectors = write(tmp_path)
    content = (path / name).read_bytes()
    for place in range(0, len(content), 37):
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        (path / name).write_bytes(flipped)
        try:
            shard = Shard(path)
            assert [file.answer for file in shard.files()] == [b"{}"] * 40
            for key, vector in vectors.items():
                np.testing.assert_array_equal(shard.vector(key), vector)
        except (StorageError, KeyError):
            pass


@pytest.mark.parametrize("name", ["files.parquet", "vectors.parquet"])
def test_a_damaged_shard_is_named_with_what_to_do(tmp_path, name):
    path, _ = write(tmp_path)
    (path / name).write_bytes((path / name).read_bytes()[:-9])
    with pytest.raises(StorageError, match=rf"{path.name} is damaged: .*delete that folder"):
        read_all(path)
    (path / name).unlink()
    with pytest.raises(StorageError, match="is damaged"):
        read_all(path)
