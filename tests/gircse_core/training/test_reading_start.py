"""Where a refinement that reads its prompt begins, and how it is fitted to a collection."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gircse_core import GircseEmbedder
from gircse_core.errors import TrainingInputError
from gircse_core.training.collection import fit_to_texts
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.teacher import TokenStatistics
from tests.gircse_core import models
from tests.gircse_core.test_reading import reading_tensors
from tests.gircse_core.training.test_trainees import _trainee

TEXTS = [
    "The ferry to the island leaves at noon and comes back in the evening.",
    "The train to the coast leaves at noon and comes back in the evening.",
    "The bus to the airport leaves at noon and comes back in the evening.",
    "The tram to the stadium leaves at noon and comes back in the evening.",
]
COMMON = "Tickets are sold at the counter until ten minutes before departure. " * 9


@pytest.fixture
def encoder(checkpoints):
    return checkpoints["prefix"].parent / "encoder"


def _begun(encoder, **choices):
    values = {
        "conventions": (("pooling", "residual_sum"), ("gate", 0.3), ("decay", 0.7)),
        "readout": "zero",
        "reading": True,
        "anchor_weight": 1.0,
        "anchor_length": 10,
        "anchor_steps": 3,
        "max_length": 64,
    }
    trainee = _trainee(encoder, **(values | choices))
    rows = trainee.tokens(TEXTS)
    statistics = TokenStatistics.count(
        rows, vocabulary_size=trainee.vocabulary_size, ignored=trainee.special_tokens
    )
    config = TrainingConfig(**{k: v for k, v in (values | choices).items() if k != "conventions"})
    trainee.start_reading(statistics, rows, config)
    trainee.set_anchor(statistics, rows, config)
    return trainee, rows


def test_the_untrained_reading_takes_texts_to_their_anchors(encoder):
    trainee, rows = _begun(encoder)
    with torch.no_grad():
        embeddings, anchors = trainee.encode_anchored(rows, steps=3, queries=2)
    cosines = (embeddings * anchors).sum(dim=-1)  # (S, N)
    assert (cosines[3] > 0.999).all()
    assert (cosines.diff(dim=0) > 0).all()  # every step goes a share of the way


def test_it_is_trained_but_for_what_was_counted(encoder):
    trainee, _ = _begun(encoder)
    assert {"reading.states", "reading.query", "reading.salience"} <= set(trainee.tensors)
    assert {"reading.rarity", "reading.centre", "reading.length"} <= set(trainee.fixed)


def test_another_pooling_and_other_families_refuse_it(encoder, checkpoints):
    with pytest.raises(TrainingInputError, match=r"reading is set, but the pooling is"):
        _begun(encoder, conventions=(("pooling", "residual_mean"),))
    causal = _trainee(checkpoints["qwen2"])
    with pytest.raises(TrainingInputError, match="no vector of its own"):
        causal.start_reading(None, [], TrainingConfig())


@pytest.fixture
def start(encoder, tmp_path):
    adapter = models.random_adapter(layers=3, hidden=32, inner=64, size=0.02)
    folder = models.write_prefix_model(tmp_path / "start", encoder, adapter | reading_tensors())
    changes = {"pooling": "residual_sum", "gate": 0.3, "decay": 0.7, "trained_steps": 8}
    models.change_json(folder / "gircse.json", changes)
    return folder


def test_a_fitted_model_tells_texts_apart_by_their_rare_words(start, tmp_path):
    longer = [f"{text} {COMMON}" for text in TEXTS]
    report = fit_to_texts(str(start), longer, tmp_path / "fitted")
    assert report.texts == 4
    assert 0.8 < report.word_weight < 0.9  # 2.5 * 715 / (715 + 1400)
    before, after = (
        GircseEmbedder(str(folder), dtype="float32") for folder in (start, report.folder)
    )
    asked = ["ferry island", "train coast", "bus airport", "tram stadium"]
    margins = []
    for embedder in (before, after):
        scores = embedder.embed_queries(asked, 8) @ embedder.embed_documents(longer, 8).T
        wrong = scores - 9 * np.eye(4)
        margins.append((scores.diagonal() - wrong.max(axis=1)).min())
    assert margins[1] > 0 > margins[0]
    assert np.allclose(before.embed_queries(asked, 0), after.embed_queries(asked, 0), atol=1e-6)
    assert "4 texts" in (report.folder / "README.md").read_text()


def test_fitting_twice_gives_the_same_weights_and_keeps_what_was_trained(start, tmp_path):
    for name in ("one", "two"):
        fit_to_texts(str(start), TEXTS, tmp_path / name)
    old, one, two = (
        load_file(folder / "adapter.safetensors")
        for folder in (start, tmp_path / "one", tmp_path / "two")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert len(one["reading.codes"]) == len(one["reading.tokens"])
    kept = "layers.1.up.lora_A"
    torch.testing.assert_close(one[kept].float(), old[kept].float(), atol=1e-4, rtol=1e-3)
    assert torch.equal(one["reading.query"].float(), old["reading.query"].half().float())


def test_a_model_without_reading_gets_one(encoder, start, tmp_path):
    without = load_file(start / "adapter.safetensors")
    plain = {name: t for name, t in without.items() if not name.startswith("reading.")}
    folder = models.write_prefix_model(tmp_path / "plain", encoder, plain)
    (folder / "gircse.json").write_text(
        json.dumps(
            json.loads((start / "gircse.json").read_text())
            | {"adapter_sha256": json.loads((folder / "gircse.json").read_text()).get(
                "adapter_sha256")}
        )
    )  # fmt: skip
    fit_to_texts(str(folder), TEXTS, tmp_path / "fitted")
    vectors = GircseEmbedder(str(tmp_path / "fitted")).embed_documents(TEXTS, 3)
    assert vectors.shape == (4, 32)


def test_what_cannot_be_fitted_is_said(start, checkpoints, tmp_path):
    with pytest.raises(TrainingInputError, match="1 texts with"):
        fit_to_texts(str(start), TEXTS[:1], tmp_path / "out")
    with pytest.raises(TrainingInputError, match="cannot be fitted to texts in closed form"):
        fit_to_texts(str(checkpoints["qwen2"]), TEXTS, tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear")
    with pytest.raises(TrainingInputError, match="is not empty"):
        fit_to_texts(str(start), TEXTS, tmp_path / "full")
