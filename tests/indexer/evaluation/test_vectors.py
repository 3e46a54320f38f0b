from __future__ import annotations

import numpy as np
import pytest

from indexer.errors import StorageError
from indexer.evaluation import vectors
from indexer.evaluation.vectors import VectorFiles
from tests.gircse_core.models import TEXTS


def test_vectors_are_those_of_the_model_and_are_embedded_once(embedder, tmp_path):
    told = []
    files = VectorFiles(embedder, tmp_path, on_texts=lambda done, total: told.append((done, total)))
    first = files.embed("document", TEXTS, [0, 3])
    assert told[-1] == (len(TEXTS), len(TEXTS))
    for step in (0, 3):
        assert np.array_equal(first.vectors[step], embedder.embed_documents(TEXTS, steps=step))
        assert first.texts_per_second(step) > 0
    assert first.seconds[0] < first.seconds[3]
    told.clear()
    again = VectorFiles(embedder, tmp_path).embed("document", TEXTS, [3])
    assert told == []
    assert again.seconds[3] == first.seconds[3]
    files.embed("document", TEXTS, [0, 1, 3])  # one step count is new
    assert len(list(tmp_path.glob("*.npy"))) == 3


def test_other_texts_roles_and_variants_are_other_vectors(embedder, tmp_path):
    VectorFiles(embedder, tmp_path).embed("document", TEXTS, [1])
    VectorFiles(embedder, tmp_path).embed("query", TEXTS, [1])
    VectorFiles(embedder, tmp_path).embed("document", TEXTS[::-1], [1])
    VectorFiles(embedder, tmp_path, variant="cuda").embed("document", TEXTS, [1])
    assert len(list(tmp_path.glob("*.npy"))) == 4


def test_slices_join_in_order(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "_SLICE_BYTES", 1)
    monkeypatch.setattr(vectors, "_SMALLEST_SLICE", 2)
    found = VectorFiles(embedder, tmp_path).embed("document", TEXTS, [2])
    expected = embedder.embed_documents(TEXTS, steps=2)
    assert np.abs(found.vectors[2] - expected).max() < 1e-5


def test_cut_texts_are_counted_also_from_the_cache(embedder, tmp_path):
    texts = ["harbour " * 400, "short"]
    assert VectorFiles(embedder, tmp_path).embed("document", texts, [0]).truncated == 1
    assert VectorFiles(embedder, tmp_path).embed("document", texts, [0]).truncated == 1


def test_nothing_is_left_of_an_interrupted_run(embedder, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(embedder, "embed_documents_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        VectorFiles(embedder, tmp_path).embed("document", TEXTS, [0])
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named(embedder, tmp_path):
    VectorFiles(embedder, tmp_path).embed("document", TEXTS, [0])
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StorageError, match=rf"{file.name} is damaged .* delete it"):
        VectorFiles(embedder, tmp_path).embed("document", TEXTS, [0])


def test_a_directory_that_cannot_be_made_is_named(embedder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        VectorFiles(embedder, tmp_path / "file" / "cache")
