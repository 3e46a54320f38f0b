"""The single-pass baselines, against transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForCausalLM

from gircse_core import GircseEmbedder
from gircse_core.baselines import SinglePassEmbedder
from gircse_core.errors import InputError, StepCountError, UnsupportedModelError
from tests.gircse_core.models import TEXTS


def _unit(vector):
    return (vector / vector.norm()).numpy()


def _tokenizer(embedder):
    tokenizer = Tokenizer.from_file(str(embedder.info.tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _states(model, ids):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).last_hidden_state[0]  # (T, H)


@pytest.fixture
def encoder(checkpoints):
    return GircseEmbedder(str(checkpoints["prefix"]), dtype="float32", batch_tokens=64)


@pytest.fixture
def causal(checkpoints):
    return GircseEmbedder(str(checkpoints["qwen2"]), dtype="float32", batch_tokens=64)


def test_mean_of_an_encoder_is_its_step_zero(encoder):
    found = SinglePassEmbedder(encoder, "mean").embed_documents(TEXTS)
    assert np.abs(found - encoder.embed_documents(TEXTS, 0)).max() < 1e-5


def test_last_and_prompt_of_an_encoder_are_states_of_its_own_tokens(encoder):
    tokenizer = _tokenizer(encoder)
    model = AutoModel.from_pretrained(encoder.info.base).eval()
    last = SinglePassEmbedder(encoder, "last").embed_documents(TEXTS)
    prompt = SinglePassEmbedder(encoder, "prompt").embed_queries(TEXTS)
    for row, text in enumerate(TEXTS):
        expected = _states(model, tokenizer.encode(text).ids)[-1]
        assert np.abs(last[row] - _unit(expected)).max() < 1e-5
        ids = tokenizer.encode(f'This sentence : "{text}" means [MASK] .').ids
        expected = _states(model, ids)[ids.index(tokenizer.token_to_id("[MASK]"))]
        assert np.abs(prompt[row] - _unit(expected)).max() < 1e-5


def test_a_mask_inside_of_a_text_is_not_the_prompts(encoder):
    embedder = SinglePassEmbedder(encoder, "prompt")
    masked, plain = embedder.embed_documents(["[MASK] of the bridge", "mask of the bridge"])
    tokenizer = _tokenizer(encoder)
    ids = tokenizer.encode('This sentence : "[MASK] of the bridge" means [MASK] .').ids
    model = AutoModel.from_pretrained(encoder.info.base).eval()
    place = len(ids) - 1 - ids[::-1].index(tokenizer.token_to_id("[MASK]"))
    assert np.abs(masked - _unit(_states(model, ids)[place])).max() < 1e-5
    assert np.abs(masked - plain).max() > 1e-3


def test_poolings_of_a_causal_model_are_those_of_its_hidden_states(causal):
    tokenizer = _tokenizer(causal)
    model = AutoModelForCausalLM.from_pretrained(causal.info.base).eval().base_model
    found = {
        pooling: SinglePassEmbedder(causal, pooling).embed_documents(TEXTS)
        for pooling in ("mean", "last", "prompt")
    }
    for row, text in enumerate(TEXTS):
        states = _states(model, tokenizer.encode(text).ids)
        assert np.abs(found["mean"][row] - _unit(states.mean(dim=0))).max() < 1e-5
        assert np.abs(found["last"][row] - _unit(states[-1])).max() < 1e-5
        pieces = ('This sentence : "', text, '" means in one word:"')
        ids = [token for piece in pieces for token in tokenizer.encode(piece).ids]
        assert np.abs(found["prompt"][row] - _unit(_states(model, ids)[-1])).max() < 1e-5


def test_a_long_text_is_cut_and_the_prompts_end_is_not(encoder):
    embedder = SinglePassEmbedder(encoder, "prompt")
    long = "harbour " * 400
    cut, longer, short = embedder.embed_documents([long, long + "garden " * 50, "harbour"])
    assert np.abs(cut - longer).max() < 1e-6
    assert np.abs(cut - short).max() > 1e-3
    assert embedder.truncated == 2


def test_it_stands_in_for_an_embedder_at_step_zero(encoder):
    embedder = SinglePassEmbedder(encoder, "last")
    (refinement,) = embedder.refine(TEXTS[0], max_steps=0)
    assert np.abs(refinement.vector - embedder.embed_queries([TEXTS[0]])[0]).max() < 1e-6
    timings = []
    assert embedder.embed_queries_at(TEXTS, [0], on_batch=timings.append).shape == (1, 5, 32)
    assert sum(timing.texts for timing in timings) == len(TEXTS)
    assert embedder.fingerprint != encoder.fingerprint
    assert embedder.info.fingerprint()["single_pass"] == "last"
    with pytest.raises(StepCountError, match="0 steps only"):
        embedder.embed_queries(TEXTS, 3)


def test_unknown_poolings_and_encoders_without_a_mask_token(encoder, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="choose from mean, last, prompt"):
        SinglePassEmbedder(encoder, "max")
    monkeypatch.setattr(Tokenizer, "token_to_id", lambda self, token: None)
    with pytest.raises(UnsupportedModelError, match=r"has no \[MASK\]"):
        SinglePassEmbedder(encoder, "prompt")
