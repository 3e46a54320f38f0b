"""What an adapter may add beside low-rank updates: step embeddings, a readout, chosen words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gircse_core import GircseEmbedder
from gircse_core.backbones.prefix_encoder import PrefixEncoder
from gircse_core.errors import ModelIntegrityError
from gircse_core.generation import generate, generate_naive
from gircse_core.registry import resolve
from gircse_core.tokenization import TextTokenizer
from tests.gircse_core import models


@pytest.fixture(scope="module")
def adapter() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = models.random_adapter(layers=3, hidden=32, inner=64)
    tensors["step_embeddings"] = torch.randn(2, 32, generator=generator)
    tensors["query_embedding"] = torch.randn(32, generator=generator)
    tensors["readout"] = torch.randn(32, 32, generator=generator) / 6
    tensors["head_tokens"] = torch.arange(5, 105, 2)
    return tensors


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return models.write_encoder(tmp_path_factory.mktemp("base") / "encoder")


@pytest.fixture
def folder(base, adapter, tmp_path) -> Path:
    folder = models.write_prefix_model(tmp_path / "model", base, adapter)
    changes = {"pooling": "residual_sum", "gate": 0.5, "decay": 0.7}
    models.change_json(folder / "gircse.json", changes)
    return folder


def _load(folder: Path) -> tuple[PrefixEncoder, TextTokenizer]:
    spec = resolve(str(folder))
    encoder = PrefixEncoder.load(
        spec.config,
        spec.base,
        adapter=spec.adapter,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    return encoder, TextTokenizer(spec.base, spec.config)


def test_the_cached_loop_equals_the_oracle(folder):
    encoder, tokenizer = _load(folder)
    rows = tokenizer.encode(models.TEXTS)
    batch = tokenizer.pad(rows, list(range(len(rows))))
    arguments = (encoder, encoder.config, batch.input_ids, batch.attention_mask)
    with torch.inference_mode():
        cached = [step.embedding for step in generate(*arguments, max_steps=6)]
        naive = generate_naive(*arguments, max_steps=6)
    assert len(cached) == len(naive) == 7
    for own, expected in zip(cached, naive, strict=True):
        torch.testing.assert_close(own, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["step_embeddings", "query_embedding", "readout", "head_tokens"])
def test_every_part_changes_refined_vectors_and_none_the_start(name, base, adapter, tmp_path):
    less = {key: tensor for key, tensor in adapter.items() if key != name}
    whole = GircseEmbedder(str(models.write_prefix_model(tmp_path / "whole", base, adapter)))
    partial = GircseEmbedder(str(models.write_prefix_model(tmp_path / "part", base, less)))
    for steps, same in ((0, True), (3, False)):
        one, other = (e.embed_queries(models.TEXTS, steps) for e in (whole, partial))
        assert np.allclose(one, other, atol=1e-5) is same


@pytest.mark.parametrize("with_steps", [True, False])
def test_queries_are_refined_otherwise_from_the_same_start(with_steps, base, adapter, tmp_path):
    kept = {
        name: tensor for name, tensor in adapter.items() if with_steps or name != "step_embeddings"
    }
    folder = models.write_prefix_model(tmp_path / "model", base, kept)
    embedder = GircseEmbedder(str(folder), dtype="float32")
    for steps, same in ((0, True), (3, False)):
        queries = embedder.embed_queries(models.TEXTS, steps)
        documents = embedder.embed_documents(models.TEXTS, steps)
        assert np.allclose(queries, documents, atol=1e-5) is same
    table = kept.get("step_embeddings", torch.zeros(1, 32))
    moved = kept | {"step_embeddings": table + kept["query_embedding"]}
    del moved["query_embedding"]
    folder = models.write_prefix_model(tmp_path / "moved", base, moved)
    other = GircseEmbedder(str(folder), dtype="float32")
    expected = other.embed_documents(models.TEXTS, 3)
    assert np.allclose(embedder.embed_queries(models.TEXTS, 3), expected, atol=1e-5)
    refined = list(embedder.refine(models.TEXTS[0], 3))
    assert np.allclose(refined[-1].vector, expected[0], atol=1e-5)


def test_the_weights_of_a_sum_of_steps_fall_and_stay_bounded():
    from gircse_core.pooling import ResidualSum

    pooling = ResidualSum(torch.tensor([[3.0, 4.0]]), 0.5, 0.5)
    for _ in range(3):
        pooling.add(torch.tensor([[1.0, 0.0]]))
    # The pooled vector's length is 5: 3 + 5 * 0.5 * (1 + 0.5 + 0.25)
    torch.testing.assert_close(pooling.running, torch.tensor([[7.375, 4.0]]))
    for _ in range(60):
        pooling.add(torch.tensor([[1.0, 0.0]]))
    assert pooling.running[0, 0] <= 3 + 5 * 0.5 / (1 - 0.5)


def test_soft_tokens_are_made_of_the_chosen_words_alone(folder, adapter):
    embedder = GircseEmbedder(str(folder))
    tokenizer = embedder.tokenizer
    allowed = {tokenizer.decode_token(int(token)) for token in adapter["head_tokens"]}
    steps = list(embedder.refine(models.TEXTS[0], 3, words=50))
    assert steps[0].words == ()
    for step in steps[1:]:
        assert {word for word, _ in step.words} <= allowed
        assert sum(share for _, share in step.words) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("step_embeddings", torch.zeros(2, 31), r"step_embeddings has shape \(2, 31\)"),
        ("query_embedding", torch.zeros(31), r"query_embedding has shape \(31,\)"),
        ("readout", torch.zeros(32, 31), r"readout has shape \(32, 31\)"),
        ("head_tokens", torch.tensor([1, 10**6]), "head_tokens must be a list of token ids"),
        ("head_tokens", torch.tensor([-1]), "head_tokens must be a list of token ids"),
        ("head_tokens", torch.tensor([1.5]), "head_tokens must be a list of token ids"),
        ("head_tokens", torch.zeros(0, dtype=torch.int64), "head_tokens must be a list"),
        ("surprise", torch.zeros(1), "cannot place 'surprise'"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    name, tensor, message, base, adapter, tmp_path
):
    folder = models.write_prefix_model(tmp_path / "model", base, adapter | {name: tensor})
    with pytest.raises(ModelIntegrityError, match=message):
        GircseEmbedder(str(folder))


def test_it_survives_a_file(folder, adapter):
    stored = load_file(folder / "adapter.safetensors")
    assert set(stored) == set(adapter)
    encoder, _ = _load(folder)
    assert torch.equal(encoder.head_tokens, adapter["head_tokens"])
