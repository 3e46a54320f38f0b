from pathlib import Path

import pytest

from indexer.documents import text_hash
from indexer.indexing.embedding import EmbeddingWriter
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from tests.indexer.fake_model import FakeEmbedder, FakeModel


@pytest.fixture
def archive(tmp_path):
    database = Database(tmp_path / "collection.db")
    yield VectorArchive(tmp_path, database)
    database.close()


@pytest.fixture
def slice_sizes(archive, monkeypatch):
    """Embed texts with a model of a given speed, by a clock of its own."""

    def run(texts: int, *, seconds_per_text: float) -> list[int]:
        embedder = FakeEmbedder(FakeModel(Path("none")), seconds_per_text=seconds_per_text)
        now = 0.0

        def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds

        monkeypatch.setattr("time.sleep", sleep)
        monkeypatch.setattr("time.perf_counter", lambda: now)
        writer = EmbeddingWriter(archive, lambda: embedder, steps=3)
        batch = {text_hash(f"text {n}"): f"text {n}" for n in range(texts)}
        sizes = [len(rows) for rows in writer.embed(batch)]
        assert writer.embedded == texts == len(archive)
        assert writer.model_seconds == pytest.approx(texts * seconds_per_text)
        assert embedder.steps == {3}
        return sizes

    return run


def test_a_fast_model_gets_ever_larger_slices(slice_sizes):
    assert slice_sizes(4000, seconds_per_text=0.002) == [16, 64, 256, 1024, 1500, 1140]


def test_a_slow_model_gets_small_ones(slice_sizes):
    assert slice_sizes(30, seconds_per_text=0.5) == [16, 6, 6, 2]


def test_a_very_slow_model_still_gets_a_few_at_once(slice_sizes):
    assert slice_sizes(26, seconds_per_text=20.0) == [16, 4, 4, 2]


def test_a_short_last_slice_does_not_count_as_a_fast_one(archive):
    embedder = FakeEmbedder(FakeModel(Path("none")))
    writer = EmbeddingWriter(archive, lambda: embedder, steps=0)
    list(writer.embed({text_hash("one"): "one"}))
    assert writer.slice_size == 16


def test_texts_that_are_there_need_no_model(archive):
    writer = EmbeddingWriter(archive, lambda: FakeEmbedder(FakeModel(Path("none"))), steps=0)
    (rows,) = writer.embed({text_hash("one"): "one"})
    assert writer.known([text_hash("one"), text_hash("two")]) == rows
