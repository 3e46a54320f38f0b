"""Reading and embedding as a cluster does it, called directly."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from indexer.distributed.embedding import EmbedFiles
from indexer.distributed.known import is_known, read_known, write_known
from indexer.distributed.reading import ReadFiles
from indexer.distributed.rows import ReadRow, read_rows, read_rows_table, receipts
from indexer.distributed.shards import SHARD_SUFFIX, Shard
from indexer.distributed.work import MARK_FILE, ClusterModel, pack_portion, portions
from indexer.documents import embedding_text, text_hash
from indexer.errors import StorageError
from indexer.extraction import ExtractionRequest
from indexer.extraction.protocol import decode_message, decode_result
from tests.indexer.distributed.in_process import cluster_model, make_job, tokenizer_of, work_item
from tests.indexer.fake_model import FakeEmbedder, vector


class FailingEmbedder(FakeEmbedder):
    """Cannot take texts with a certain word."""

    def embed_documents(self, texts, *, steps=None):
        if any("poison" in text for text in texts):
            raise RuntimeError("out of memory:\n  tried to allocate 9 GiB")
        return super().embed_documents(texts, steps=steps)


class BrokenEmbedder(FakeEmbedder):
    def embed_documents(self, texts, *, steps=None):
        return np.full((len(texts), self.info.dim), np.nan, dtype=np.float32)


def text_of(job, path) -> str:
    """Return what the model reads of a file of one passage."""
    (row,) = read_rows(read(job, [path]))
    request = ExtractionRequest(path, row.source, row.name)
    (chunk,) = decode_result(decode_message(row.answer), request, seconds=0.0).chunks
    return embedding_text(chunk)


@pytest.fixture
def job(world, tmp_path):
    folder = tmp_path / "shards" / "run"
    folder.mkdir(parents=True)
    (folder / MARK_FILE).write_text(json.dumps({"id": "run"}))
    return make_job(world.collection(), cluster_model(world.model), folder, roots=[world.folder])


def with_model(job, world, kind):
    return replace(job, model=ClusterModel(job.model.tokenizer, lambda: kind(world.model)))


def read(job, paths):
    batch = pa.table({"portion": [pack_portion(map(work_item, paths))]})
    return pa.concat_tables(ReadFiles(job)(batch))


def embed(job, table, known=()):
    write_known(job.folder, known)
    (receipt,) = receipts(EmbedFiles(job)(table))
    return receipt


def answers(shard: Shard) -> dict[str, dict]:
    return {
        file.path.rpartition(b"/")[2].decode(): json.loads(file.answer) for file in shard.files()
    }


def test_good_and_bad_files_go_into_one_shard(world, job):
    paths = [
        world.write("a.md", "# A\n\nApples."),
        world.write("b.pdf", b"%PDF-1.4\nnothing more"),
        world.write("c.md", ""),
        world.write("d.md", "# A\n\nApples."),
    ]
    shard = Shard(job.folder / embed(job, read(job, paths)).shard)
    found = answers(shard)
    assert {name: answer["status"] for name, answer in found.items()} == {
        "a.md": "ready",
        "b.pdf": "failed",
        "c.md": "no_text",
        "d.md": "ready",
    }
    assert found["b.pdf"]["message"]
    text = text_of(job, paths[0])
    assert text.endswith("Apples.")
    np.testing.assert_array_equal(shard.vector(text_hash(text)), vector(text))


def test_what_has_a_vector_is_not_embedded(world, job):
    paths = [world.write("a.md", "# A\n\nApples."), world.write("b.md", "# B\n\nPears.")]
    keys = [text_hash(text_of(job, path)) for path in paths]
    shard = Shard(job.folder / embed(job, read(job, paths), keys[:1]).shard)
    assert [shard.has(key) for key in keys] == [False, True]


def test_known_texts_are_told_from_others(tmp_path):
    keys = [text_hash(str(n)) for n in range(1000)]
    write_known(tmp_path, keys[:500])
    known = read_known(tmp_path)
    assert [is_known(known, key) for key in keys] == [True] * 500 + [False] * 500
    write_known(tmp_path, [])
    assert not is_known(read_known(tmp_path), keys[0])
    (tmp_path / "known.npy").unlink()
    with pytest.raises(StorageError, match=r"known\.npy"):
        read_known(tmp_path)


def test_a_file_that_the_model_cannot_take_fails_alone(world, job):
    job = with_model(job, world, FailingEmbedder)
    paths = [
        world.write("a.md", "# A\n\nApples."),
        world.write("b.md", "# B\n\nThis is poison."),
        world.write("c.md", "# C\n\nCherries."),
    ]
    shard = Shard(job.folder / embed(job, read(job, paths)).shard)
    found = answers(shard)
    assert [found[name]["status"] for name in ("a.md", "b.md", "c.md")] == [
        "ready",
        "failed",
        "ready",
    ]
    assert found["b.md"]["code"] == "model"
    assert "out of memory: tried to allocate 9 GiB" in found["b.md"]["message"]
    assert "--retry-failed" in found["b.md"]["hint"]
    assert [shard.has(text_hash(text_of(job, path))) for path in paths] == [True, False, True]


def test_a_file_that_the_model_cannot_take_fails_alone_even_where_it_is_the_first(world, job):
    job = with_model(job, world, FailingEmbedder)
    table = read(job, [world.write("b.md", "# B\n\nThis is poison.")])
    shard = Shard(job.folder / embed(job, table).shard)
    assert answers(shard)["b.md"]["code"] == "model"


def test_a_model_that_fails_on_everything_is_the_machines_fault(world, job):
    table = read(job, [world.write("a.md", "# A\n\nApples.")])
    refusal = embed(with_model(job, world, BrokenEmbedder), table).refusal
    assert "fails on any text: vector 0 has length nan" in refusal
    assert "--device cpu" in refusal
    assert list(job.folder.glob(f"*{SHARD_SUFFIX}")) == []


def test_another_model_is_refused_with_both_values(world, job):
    other = replace(world.model, weights="4567")
    table = read(job, [world.write("a.md", "# A\n\nApples.")])
    job = replace(job, model=ClusterModel(job.model.tokenizer, lambda: FakeEmbedder(other)))
    assert "weights: 0123 / 4567" in embed(job, table).refusal


def test_a_model_that_cannot_be_loaded_is_refused(world, job):
    def load():
        raise OSError("no such file: model.safetensors")

    table = read(job, [world.write("a.md", "# A\n\nApples.")])
    refusal = embed(replace(job, model=ClusterModel(job.model.tokenizer, load)), table).refusal
    assert "cannot load the model: no such file: model.safetensors" in refusal


def test_a_machine_without_the_documents_is_refused(world, job, tmp_path):
    path = world.write("a.md", "# A\n\nApples.")
    elsewhere = make_job(
        world.open[0], job.model, job.folder, roots=[world.folder, tmp_path / "absent"]
    )
    table = read(elsewhere, [path])
    (row,) = read_rows(table)
    assert f"has no {tmp_path / 'absent'}; make the documents reachable" in row.refusal
    assert embed(elsewhere, table).refusal == row.refusal


def test_a_machine_that_sees_another_folder_is_refused(world, job):
    path = world.write("a.md", "# A\n\nApples.")
    table = read(job, [path])
    (job.folder / MARK_FILE).write_text(json.dumps({"id": "another"}))
    assert "--ray-shards" in embed(job, table).refusal
    (row,) = read_rows(read(job, [path]))
    assert "--ray-shards" in row.refusal


def test_nonsense_from_a_reading_process_costs_its_file_alone(world, job):
    path = world.write("a.md", "# A\n\nApples.")
    good = list(read_rows(read(job, [path])))
    bad = replace(good[0], path=b"/b.md", source="/b.md", answer=b'{"status": "ready"}')
    shard = Shard(job.folder / embed(job, read_rows_table([bad, *good])).shard)
    found = answers(shard)
    assert (found["b.md"]["code"], found["a.md"]["status"]) == ("crashed", "ready")


def test_paths_of_any_bytes_make_the_round(world, job):
    row = ReadRow(b"/\xff.md", "/\\xff.md", "\\xff.md", b"{}", 1.0)
    assert list(read_rows(read_rows_table([row]))) == [row]


def test_portions_are_bounded_and_large_files_stand_alone(world):
    small = [work_item(world.write(f"{n}.md", "x")) for n in range(130)]
    large = work_item(world.write("large.txt", "x" * 3_000_000))
    cut = list(portions([*small[:2], large, *small[2:]]))
    assert [len(portion) for portion in cut] == [2, 1, 64, 64]
    assert cut[1] == [large]


def test_a_tokenizer_that_is_not_there_is_refused(world, job, tmp_path):
    gone = replace(world.model, tokenizer_file=tmp_path / "absent.json")
    job = replace(job, model=ClusterModel(lambda: tokenizer_of(gone), job.model.load))
    (row,) = read_rows(read(job, [world.write("a.md", "# A\n\nApples.")]))
    assert "cannot read files" in row.refusal
    assert "absent.json" in row.refusal
