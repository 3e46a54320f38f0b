"""Collections of the first layout are rebuilt like any other, and lose nothing on the way."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.collections.generations import read_generations
from indexer.collections.rollback import roll_back
from indexer.documents import embedding_text
from indexer.errors import StorageError
from indexer.reindexing.request import ReindexRequest
from indexer.reindexing.run import reindex
from tests.indexer.fake_model import FakeModel, write_tokenizer
from tests.indexer.generation_making import unpack_format_1
from tests.indexer.reindexing.rebuilds import SteppedEmbedder, stepped_vector


@pytest.fixture
def old(tmp_path):
    model = FakeModel(write_tokenizer(tmp_path))
    library = unpack_format_1(tmp_path / "home")
    return library, model


def texts(collection) -> dict[str, str]:
    return {
        one.chunk.id: embedding_text(one.chunk)
        for stored, _ in collection.store.scroll()
        for one in stored
    }


def rebuild(library, model, **asked):
    with library.open("old") as collection:
        return reindex(
            collection,
            ReindexRequest(**asked),
            embedder=lambda name: SteppedEmbedder(model),
            resolve=lambda name: model,
        )


def test_an_index_over_the_first_layout_is_a_generation_of_its_own(old):
    library, model = old
    with library.open("old") as collection:
        before = texts(collection)
        ledger = collection.ledger.rows()
    report = rebuild(library, model)
    assert (report.before.number, report.after.content) == (0, ".")
    with library.open("old") as collection:
        assert texts(collection) == before
        assert collection.ledger.rows() == ledger
        roll_back(collection.directory)
        assert texts(collection) == before


def test_new_vectors_leave_the_first_layout_behind_at_the_next_rebuild(old):
    library, model = old
    with library.open("old") as collection:
        before = texts(collection)
    rebuild(library, model, steps=5)
    directory = library.home / "collections" / "old"
    assert (directory / "collection.db").exists()  # what a rollback returns to
    with library.open("old") as collection:
        assert texts(collection) == before
        for stored, vectors in collection.store.scroll():
            expected = [stepped_vector("fake", 5, embedding_text(one.chunk)) for one in stored]
            np.testing.assert_allclose(vectors, np.stack(expected), atol=1e-6)
    rebuild(library, model, steps=6)
    assert not (directory / "collection.db").exists()
    assert not (directory / "vectors").exists()
    with library.open("old") as collection:
        assert texts(collection) == before


def test_a_rebuild_that_fails_leaves_the_first_layout_as_it_is(old, monkeypatch):
    library, model = old
    with library.open("old") as collection:
        before = texts(collection)
    monkeypatch.setattr(
        SteppedEmbedder, "embed_documents", lambda *args, **more: np.zeros((3, 16), np.float32)
    )
    with pytest.raises(StorageError, match="returned vectors that cannot be kept"):
        rebuild(library, model, steps=5)
    directory = library.home / "collections" / "old"
    assert read_generations(directory).live.number == 0
    assert not (directory / "generations.json").exists()
    with library.open("old") as collection:
        assert texts(collection) == before
