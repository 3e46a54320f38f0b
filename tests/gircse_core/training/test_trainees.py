from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gircse_core import GircseEmbedder, resolve
from gircse_core.backbones.causal import CausalBackbone
from gircse_core.backbones.prefix_encoder import PrefixEncoder
from gircse_core.errors import ModelIntegrityError, TrainingInputError
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.rollout import rollout
from gircse_core.training.teacher import TokenStatistics
from gircse_core.training.trainees import load_trainee
from tests.gircse_core import models

TEXTS = models.TEXTS


def _trainee(folder, **choices):
    spec = resolve(str(folder))
    values = {"model": str(folder), "steps": 3, "dtype": "float32", "rank": 4, "alpha": 4.0}
    values |= choices
    config = TrainingConfig(**values).resolved(spec.config.family)
    return load_trainee(spec, config, device="cpu")


def _stirred(trainee, size=0.1):
    """Move every trained tensor away from its start, where half of the gradients are 0."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in trainee.tensors.values():
            tensor.add_(torch.randn(tensor.shape, generator=generator) * size)
    return trainee


@pytest.fixture
def encoder(checkpoints):
    return checkpoints["prefix"].parent / "encoder"


def test_a_new_adapter_leaves_the_base_as_it_is(encoder):
    trainee = _trainee(encoder)
    spec = replace(resolve(str(encoder)), config=trainee.config)
    plain = PrefixEncoder.load(
        spec.config, spec.base, device=torch.device("cpu"), dtype=torch.float32
    )
    rows = trainee.tokens(TEXTS)
    batch = trainee._tokenizer.pad(rows, list(range(len(rows))))
    prefix = plain.prefill(batch.input_ids, batch.attention_mask)
    expected = rollout(plain, spec.config, prefix, steps=3)
    torch.testing.assert_close(trainee.encode(rows, steps=3), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trainee.base_embeddings(rows, steps=3), expected[0])


@pytest.mark.parametrize("name", ["encoder", "qwen2"])
def test_rows_do_not_depend_on_how_they_are_grouped(name, checkpoints, encoder):
    folder = encoder if name == "encoder" else checkpoints[name]
    one = _stirred(_trainee(folder, forward_tokens=100_000, dropout=0.0))
    many = _stirred(_trainee(folder, forward_tokens=64, dropout=0.0))
    rows = one.tokens(TEXTS)
    torch.testing.assert_close(
        one.encode(rows, steps=3), many.encode(rows, steps=3), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["encoder", "prefix", "qwen2"])
def test_the_exported_folder_gives_the_trainees_own_vectors(name, checkpoints, encoder, tmp_path):
    folder = encoder if name == "encoder" else checkpoints[name]
    trainee = _stirred(_trainee(folder, dropout=0.0))
    trainee.export(tmp_path, {}, half=False)
    rows = trainee.tokens(TEXTS)
    with torch.no_grad():
        own = trainee.encode(rows, steps=3)[-1].numpy()
    loaded = GircseEmbedder(str(tmp_path), device="cpu", dtype="float32")
    np.testing.assert_allclose(loaded.embed_documents(TEXTS, 3), own, atol=2e-5)
    further = _trainee(tmp_path, dropout=0.0)
    with torch.no_grad():
        again = further.encode(rows, steps=3)[-1].numpy()
    np.testing.assert_allclose(again, own, atol=2e-5)


def test_half_precision_halves_the_file_and_hardly_moves_the_vectors(encoder, tmp_path):
    trainee = _stirred(_trainee(encoder))
    for name, half in (("full", False), ("half", True)):
        (tmp_path / name).mkdir()
        trainee.export(tmp_path / name, {}, half=half)
    sizes = [(tmp_path / name / "adapter.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.62 * sizes[1]
    full, half = (
        GircseEmbedder(str(tmp_path / name), device="cpu", dtype="float32").embed_queries(TEXTS, 3)
        for name in ("full", "half")
    )
    assert (full * half).sum(axis=1).min() > 0.9999


def test_weights_to_export_may_be_others_than_those_in_training(checkpoints, tmp_path):
    trainee = _trainee(checkpoints["qwen2"])
    rows = trainee.tokens(TEXTS)
    with torch.no_grad():
        before = trainee.base_embeddings(rows, steps=3)
        kept = {name: tensor.clone() for name, tensor in trainee.tensors.items()}
    zeros = {name: torch.zeros_like(tensor) for name, tensor in trainee.tensors.items()}
    _stirred(trainee)
    stirred = {name: tensor.detach().clone() for name, tensor in trainee.tensors.items()}
    trainee.export(tmp_path, zeros, half=False)
    loaded = GircseEmbedder(str(tmp_path), device="cpu", dtype="float32")
    np.testing.assert_allclose(loaded.embed_documents(TEXTS, 3), before, atol=2e-5)
    assert all(torch.equal(stirred[name], tensor) for name, tensor in trainee.tensors.items())
    assert not any(torch.equal(kept[name], stirred[name]) for name in kept)


def _widened(trainee):
    """Put a trainee into float64, where finite differences are exact enough."""
    for tensor in trainee.tensors.values():
        tensor.data = tensor.data.double()
    if hasattr(trainee, "_base"):
        trainee._base = trainee._base.to(torch.device("cpu"), torch.float64)
    else:
        trainee._peft.double()
        trainee._backbone = CausalBackbone(trainee._peft.get_base_model(), trainee.config)
    return trainee


@pytest.mark.parametrize("name", ["encoder", "qwen2"])
def test_gradients_through_soft_tokens_agree_with_finite_differences(name, checkpoints, encoder):
    folder = encoder if name == "encoder" else checkpoints[name]
    trainee = _widened(_stirred(_trainee(folder, dropout=0.0)))
    rows = trainee.tokens(TEXTS[:3])
    weights = torch.randn(3, 32, generator=torch.Generator().manual_seed(2)).double()

    def value():
        # The last step alone: it sees the tensors through every soft token before it.
        return (trainee.encode(rows, steps=3)[-1].double() * weights).sum()

    value().backward()
    generator = torch.Generator().manual_seed(3)
    for tensor in list(trainee.tensors.values())[::5]:
        direction = torch.randn(tensor.shape, generator=generator).double()
        direction /= direction.norm()
        slope = float((tensor.grad * direction).sum())
        size = 2e-3
        with torch.no_grad():
            tensor.add_(direction, alpha=size)
            above = float(value())
            tensor.add_(direction, alpha=-2 * size)
            below = float(value())
            tensor.add_(direction, alpha=size)
        # The pooled vectors are float32, which bounds how exact the difference can be.
        assert (above - below) / (2 * size) == pytest.approx(slope, rel=1e-3, abs=2e-4)


@pytest.mark.parametrize("name", ["encoder", "qwen2"])
def test_stagewise_changes_gradients_alone(name, checkpoints, encoder):
    folder = encoder if name == "encoder" else checkpoints[name]
    plain = _stirred(_trainee(folder, dropout=0.0))
    staged = _stirred(_trainee(folder, dropout=0.0, stagewise=True))
    rows = plain.tokens(TEXTS)
    first, second = plain.encode(rows, steps=3), staged.encode(rows, steps=3)
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)
    weights = torch.randn(first.shape[1:], generator=torch.Generator().manual_seed(2))
    for embeddings in (first, second):
        (embeddings[-1] * weights).sum().backward()
    some = list(plain.tensors)[-1]
    assert not torch.allclose(plain.tensors[some].grad, staged.tensors[some].grad)


def test_the_prompt_path_of_a_prefix_encoder_is_frozen(encoder):
    trainee = _stirred(_trainee(encoder))
    embeddings = trainee.encode(trainee.tokens(TEXTS), steps=2)
    tensors = list(trainee.tensors.values())
    at_zero = torch.autograd.grad((embeddings[0] ** 3).sum(), tensors, retain_graph=True)
    assert not any(gradient.any() for gradient in at_zero)
    assert all(
        gradient.any() for gradient in torch.autograd.grad((embeddings[1] ** 3).sum(), tensors)
    )


def test_a_readout_of_zero_starts_every_step_as_step_zero(encoder):
    trainee = _trainee(encoder, readout="zero", step_embeddings=True)
    embeddings = trainee.encode(trainee.tokens(TEXTS), steps=3)
    torch.testing.assert_close(embeddings[1:], embeddings[:1].expand(3, -1, -1))
    (embeddings[-1] ** 3).sum().backward()
    assert trainee.tensors["readout"].grad.any()


def test_further_tensors_are_trained_exported_and_taken_up_again(encoder, tmp_path):
    choices = {"readout": "identity", "step_embeddings": True}
    trainee = _stirred(_trainee(encoder, **choices))
    trainee.restrict_head(torch.full((trainee.vocabulary_size,), 0.05), words=500)
    rows = trainee.tokens(TEXTS)
    embeddings = trainee.encode(rows, steps=3)
    (embeddings[-1] ** 3).sum().backward()
    assert trainee.tensors["step_embeddings"].shape == (3, 32)
    assert all(tensor.grad.any() for tensor in trainee.tensors.values())
    trainee.export(tmp_path, {}, half=True)
    stored = load_file(tmp_path / "adapter.safetensors")
    assert (stored["head_tokens"].dtype, len(stored["head_tokens"])) == (torch.int64, 500)
    assert stored["readout"].dtype == torch.float16
    loaded = GircseEmbedder(str(tmp_path), device="cpu", dtype="float32")
    own = embeddings[-1].detach().numpy()
    assert (loaded.embed_documents(TEXTS, 3) * own).sum(axis=1).min() > 0.999
    further = _trainee(tmp_path)
    assert torch.equal(further.fixed["head_tokens"], stored["head_tokens"])
    assert "readout" in further.tensors


def test_soft_tokens_are_made_of_frequent_content_words(encoder):
    trainee = _trainee(encoder)
    rows = trainee.tokens(["the bridge, the river, the embeddings", "the bridge"])
    statistics = TokenStatistics.count(
        rows * 10, vocabulary_size=trainee.vocabulary_size, ignored=trainee.special_tokens
    )
    assert statistics.documents == 20
    assert not statistics.frequencies[list(trainee.special_tokens)].any()
    shares = statistics.frequencies / 200
    (the,) = trainee._tokenizer.encode(["the"])[0][1:-1]
    shares[the] = 0.9
    trainee.restrict_head(shares, words=2)
    words = [trainee._tokenizer.decode_token(int(token)) for token in trainee.fixed["head_tokens"]]
    assert sorted(words) == ["bridge", "river"]
    with pytest.raises(TrainingInputError, match=r"only [0-9]+ different content words"):
        trainee.restrict_head(shares, words=100)


def test_training_starts_from_no_pickled_adapter(checkpoints, tmp_path):
    adapter = models.write_peft_adapter(tmp_path / "adapter", checkpoints["qwen2"])
    weights = adapter / "adapter_model.safetensors"
    torch.save(load_file(weights), adapter / "adapter_model.bin")
    weights.unlink()
    with pytest.raises(ModelIntegrityError, match="Only safetensors"):
        _trainee(adapter)


def test_options_that_do_not_fit_are_refused(checkpoints, encoder):
    with pytest.raises(TrainingInputError, match=r"dropout is 0\.1"):
        _trainee(encoder, dropout=0.1)
    most = PrefixEncoder.load(
        replace(resolve(str(encoder)).config, max_length=8),
        encoder,
        device=torch.device("cpu"),
        dtype=torch.float32,
    ).sizes.max_positions
    told = f"max_length is {most - 2} and steps is 3, .* {most} .* max_length of {most - 3} or less"
    with pytest.raises(TrainingInputError, match=told):
        _trainee(encoder, max_length=most - 2)
    _trainee(encoder, max_length=most - 3)
    with pytest.raises(TrainingInputError, match="unknown keys"):
        _trainee(encoder, conventions=(("gait", 1),))
    with pytest.raises(TrainingInputError, match="gate must be float"):
        _trainee(encoder, conventions=(("gate", "wide"),))
    with pytest.raises(TrainingInputError, match="cannot be set for a causal model"):
        _trainee(checkpoints["qwen2"], conventions=(("pooling", "last"),))
    with pytest.raises(TrainingInputError, match="none of the layers"):
        _trainee(checkpoints["gpt2"])
