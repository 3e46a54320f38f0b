"""Where training starts: the default model is trained further, its base encoder from nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gircse_core import GircseEmbedder
from gircse_core.registry import DEFAULT_MODEL, resolve
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.trainer import train
from tests.gircse_core.models import MINILM, TEXTS
from tests.gircse_core.training.data import questions, write_pairs

BASE = "sentence-transformers/all-MiniLM-L6-v2"


def _trained(model, tmp_path):
    config = TrainingConfig(
        model=model, updates=1, steps=2, batch_size=4, block_size=1, learning_rate=1e-6
    )
    train(config, [write_pairs(tmp_path / "pairs.jsonl", questions(8))], tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(scope="module")
def shipped():
    return GircseEmbedder(dtype="float32")


def test_the_default_model_is_trained_further(tmp_path, shipped):
    out = _trained(DEFAULT_MODEL, tmp_path)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert f"Trained from `{DEFAULT_MODEL}`" in card
    stated = json.loads((out / "gircse.json").read_text(encoding="utf-8"))
    assert stated["base"]["name"] == BASE
    for name in ("pooling", "gate", "decay", "coverage", "logit_scale"):
        assert stated[name] == getattr(shipped.config, name)
    further = GircseEmbedder(str(out), dtype="float32")
    for steps in (0, 5, 20):
        mine, theirs = further.embed_queries(TEXTS, steps), shipped.embed_queries(TEXTS, steps)
        assert np.abs(mine - theirs).max() < 1e-3


def test_its_base_encoder_has_a_name_of_its_own_and_needs_no_hub(tmp_path, shipped):
    spec = resolve(BASE, offline=True)
    assert spec.base == resolve(DEFAULT_MODEL).base == MINILM
    assert (spec.adapter, spec.max_steps) == (None, 0)
    out = _trained(BASE, tmp_path)
    assert f"Trained from `{BASE}`" in (out / "README.md").read_text(encoding="utf-8")
    anew = GircseEmbedder(str(out), dtype="float32")
    assert np.array_equal(anew.embed_queries(TEXTS, 0), shipped.embed_queries(TEXTS, 0))
    assert np.abs(anew.embed_queries(TEXTS, 5) - shipped.embed_queries(TEXTS, 5)).max() > 1e-3
