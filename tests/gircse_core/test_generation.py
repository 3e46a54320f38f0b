"""The cached loop against the oracle that recomputes everything."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from gircse_core.backbones.causal import CausalBackbone
from gircse_core.config import ModelConfig
from gircse_core.generation import generate, generate_naive
from gircse_core.registry import resolve
from gircse_core.tokenization import TextTokenizer
from tests.gircse_core.models import TEXTS

CAUSAL = ["qwen2", "llama", "mistral", "gpt2"]
PREFIX = ["prefix", "minilm_adapted"]
ALL = CAUSAL + PREFIX
CASES = [
    *((name, name, pooling) for name in CAUSAL for pooling in ("generate_mean", "last")),
    *((name, name, "residual_mean") for name in PREFIX),
]


def _batch(checkpoints, name, texts, **changes):
    spec = resolve(str(checkpoints[name]))
    tokenizer = TextTokenizer(spec.base, replace(spec.config, **changes))
    rows = tokenizer.encode(texts)
    return tokenizer.pad(rows, list(range(len(rows))))


def _run(backbone, config, batch, steps):
    with torch.inference_mode():
        return list(
            generate(backbone, config, batch.input_ids, batch.attention_mask, max_steps=steps)
        )


@pytest.mark.parametrize("steps", [1, 5, 20])
@pytest.mark.parametrize("texts", [TEXTS[1:2], TEXTS], ids=["single", "padded"])
@pytest.mark.parametrize(("backbone", "name", "pooling"), CASES, indirect=["backbone"])
def test_cached_equals_naive(backbone, name, pooling, texts, steps, checkpoints):
    config = replace(backbone.config, pooling=pooling)
    batch = _batch(checkpoints, name, texts)
    cached = _run(backbone, config, batch, steps)
    with torch.inference_mode():
        naive = generate_naive(
            backbone, config, batch.input_ids, batch.attention_mask, max_steps=steps
        )
    assert [step.step for step in cached] == list(range(config.min_steps, steps + 1))
    assert len(cached) == len(naive)
    for step, expected in zip(cached, naive, strict=True):
        torch.testing.assert_close(step.embedding, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("backbone", "name"), [(n, n) for n in ALL], indirect=["backbone"])
def test_steps_refine(backbone, name, checkpoints):
    """Each step moves the vector, or the comparisons above would prove nothing."""
    batch = _batch(checkpoints, name, TEXTS)
    steps = _run(backbone, backbone.config, batch, 5)
    for before, after in pairwise(steps):
        moved = 1 - (before.embedding * after.embedding).sum(dim=-1)
        assert moved.min() > 1e-6
        norms = after.embedding.norm(dim=-1)
        torch.testing.assert_close(norms, torch.ones_like(norms))
        assert after.distribution is not None
        torch.testing.assert_close(
            after.distribution.sum(dim=-1), torch.ones(len(TEXTS)), atol=1e-4, rtol=0
        )


@pytest.mark.parametrize(("backbone", "name"), [(n, n) for n in ALL], indirect=["backbone"])
def test_padding_side_and_batch_do_not_matter(backbone, name, checkpoints):
    left = _run(backbone, backbone.config, _batch(checkpoints, name, TEXTS, padding_side="left"), 5)
    right = _run(
        backbone, backbone.config, _batch(checkpoints, name, TEXTS, padding_side="right"), 5
    )
    torch.testing.assert_close(left[-1].embedding, right[-1].embedding, atol=1e-5, rtol=0)
    for row, text in enumerate(TEXTS):
        alone = _run(backbone, backbone.config, _batch(checkpoints, name, [text]), 5)
        difference = (alone[-1].embedding[0] - left[-1].embedding[row]).abs().max()
        assert difference < 1e-5


@pytest.mark.parametrize("backbone", ["qwen2"], indirect=True)
def test_no_head_after_the_last_step_and_only_what_is_asked_for(backbone, checkpoints, monkeypatch):
    calls = {"head": 0, "step": 0}
    own_distribution, own_step = backbone.distribution, backbone.step

    def distribution(prefix, readout):
        calls["head"] += 1
        assert readout.shape == (len(TEXTS), backbone.hidden_size)  # one position, not T
        return own_distribution(prefix, readout)

    def step(prefix, soft_token):
        calls["step"] += 1
        return own_step(prefix, soft_token)

    monkeypatch.setattr(backbone, "distribution", distribution)
    monkeypatch.setattr(backbone, "step", step)
    batch = _batch(checkpoints, "qwen2", TEXTS)
    _run(backbone, backbone.config, batch, 4)
    assert calls == {"head": 4, "step": 4}
    run = generate(backbone, backbone.config, batch.input_ids, batch.attention_mask, max_steps=50)
    with torch.inference_mode():
        next(run), next(run)
    assert calls == {"head": 6, "step": 6}


@pytest.mark.parametrize("backbone", ["qwen2", "prefix"], indirect=True)
def test_gradients_flow_through_the_soft_tokens(backbone, checkpoints, request):
    """A change of z_1's own input alone cannot explain the gradient of z_3 with respect to it."""
    name = request.node.callspec.params["backbone"]
    batch = _batch(checkpoints, name, TEXTS[:2])
    own = backbone.soft_embedding
    first: list[torch.Tensor] = []

    def watched(distribution):
        soft = own(distribution)
        if not first:
            soft = soft.detach().requires_grad_()
            first.append(soft)
        return soft

    backbone.soft_embedding = watched
    steps = list(
        generate(backbone, backbone.config, batch.input_ids, batch.attention_mask, max_steps=3)
    )
    steps[-1].embedding[:, 0].sum().backward()
    assert first[0].grad is not None
    assert first[0].grad.abs().max() > 0


def test_the_distribution_is_flattened_by_its_temperature(checkpoints):
    spec = resolve(str(checkpoints["qwen2"]))
    peaks = []
    for temperature in (0.5, 1.0, 4.0):
        config: ModelConfig = replace(spec.config, softmax_temperature=temperature)
        backbone = CausalBackbone.load(
            config, spec.base, device=torch.device("cpu"), dtype=torch.float32
        )
        step = _run(backbone, config, _batch(checkpoints, "qwen2", TEXTS), 1)[0]
        peaks.append(step.distribution.max(dim=-1).values.mean().item())
    assert peaks[0] > peaks[1] > peaks[2]
