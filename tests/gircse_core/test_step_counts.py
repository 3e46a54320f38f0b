"""Several step counts from one run per text."""

from __future__ import annotations

import numpy as np
import pytest

from gircse_core import GircseEmbedder
from gircse_core.errors import InputError, StepCountError
from tests.gircse_core.models import TEXTS


@pytest.mark.parametrize("name", ["qwen2", "minilm_adapted"])
def test_each_step_count_is_what_a_run_of_its_own_gives(name, checkpoints):
    embedder = GircseEmbedder(str(checkpoints[name]), dtype="float32", batch_tokens=64)
    steps = [4, 1, 2]
    queries = embedder.embed_queries_at(TEXTS, steps)
    documents = embedder.embed_documents_at(TEXTS, steps)
    assert queries.shape == documents.shape == (3, len(TEXTS), embedder.dim)
    for place, step in enumerate(steps):
        assert np.array_equal(queries[place], embedder.embed_queries(TEXTS, step))
        assert np.array_equal(documents[place], embedder.embed_documents(TEXTS, step))


def test_step_zero_is_among_them_where_it_is_defined(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["prefix"]), dtype="float32")
    vectors = embedder.embed_queries_at(TEXTS, [0, 3])
    assert np.array_equal(vectors[0], embedder.embed_queries(TEXTS, 0))
    with pytest.raises(StepCountError, match="choose from 1 to 64"):
        GircseEmbedder(str(checkpoints["qwen2"])).embed_queries_at(TEXTS, [0, 3])


def test_each_batch_is_told_with_rising_times(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["prefix"]), dtype="float32", batch_tokens=48)
    timings = []
    embedder.embed_documents_at(TEXTS, [3, 0], on_batch=timings.append)
    assert len(timings) > 1
    assert sum(timing.texts for timing in timings) == len(TEXTS)
    for timing in timings:
        third, start = timing.seconds
        assert 0 < start < third


@pytest.mark.parametrize("steps", [[], [1, 1]])
def test_step_counts_missing_or_repeated(steps, checkpoints):
    embedder = GircseEmbedder(str(checkpoints["prefix"]))
    with pytest.raises(InputError, match="at least one, and none twice"):
        embedder.embed_documents_at(TEXTS, steps)


def test_no_texts(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["prefix"]))
    assert embedder.embed_queries_at([], [0, 2]).shape == (2, 0, 32)
