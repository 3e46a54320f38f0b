"""What soft tokens read of the prompt after their last layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from gircse_core import GircseEmbedder
from gircse_core.backbones.prefix_encoder import PrefixEncoder
from gircse_core.backbones.reading import PromptReading, Reading
from gircse_core.errors import ModelIntegrityError
from gircse_core.generation import generate, generate_naive
from gircse_core.registry import resolve
from gircse_core.tokenization import TextTokenizer
from tests.gircse_core import models

HIDDEN = 32
VOCABULARY = 30522


def reading_tensors(*, with_codes: bool = False, seed: int = 7) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    tensors = {
        "rarity": random(VOCABULARY).abs(),
        "centre": random(HIDDEN) / 20,
        "offset": random(HIDDEN) / 20,
        "sharpness": torch.tensor([1.0, 1.5]),
        "salience": random(2, HIDDEN) / 6,
        "query": random(2, HIDDEN, HIDDEN) / 6,
        "states": random(HIDDEN, HIDDEN) / 6,
        "words": random(HIDDEN, HIDDEN) / 6,
        "length": torch.tensor(12.0),
    }
    if with_codes:
        tensors["tokens"] = torch.arange(1000, 30000, 3)
        tensors["codes"] = random(len(tensors["tokens"]), HIDDEN)
    return {f"reading.{name}": tensor for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return models.write_encoder(tmp_path_factory.mktemp("base") / "encoder")


def _write(folder: Path, base: Path, tensors: dict[str, torch.Tensor]) -> Path:
    adapter = models.random_adapter(layers=3, hidden=HIDDEN, inner=64) | tensors
    folder = models.write_prefix_model(folder, base, adapter)
    changes = {"pooling": "residual_sum", "gate": 0.5, "decay": 0.7}
    models.change_json(folder / "gircse.json", changes)
    return folder


def _reading(table: torch.Tensor, **changes: torch.Tensor) -> Reading:
    tensors = reading_tensors() | {f"reading.{name}": value for name, value in changes.items()}
    reading = Reading.of(tensors, table, origin=Path("here"))
    assert reading is not None
    return reading


def _prepared(reading: Reading, rows: list[list[int]], words: torch.Tensor) -> PromptReading:
    ids = torch.tensor(rows)
    states = torch.randn(*ids.shape, HIDDEN, generator=torch.Generator().manual_seed(2))
    return reading.prepare(ids, (ids > 0).long(), states, words)


@pytest.fixture(scope="module")
def words() -> torch.Tensor:
    return torch.randn(VOCABULARY, HIDDEN, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("with_codes", [False, True])
@pytest.mark.parametrize("queries", [False, True])
def test_the_cached_loop_equals_the_oracle(with_codes, queries, base, tmp_path):
    spec = resolve(str(_write(tmp_path / "model", base, reading_tensors(with_codes=with_codes))))
    encoder = PrefixEncoder.load(
        spec.config,
        spec.base,
        adapter=spec.adapter,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    if queries:
        encoder = encoder.for_queries()
    tokenizer = TextTokenizer(spec.base, spec.config)
    rows = tokenizer.encode(models.TEXTS)
    batch = tokenizer.pad(rows, list(range(len(rows))))
    arguments = (encoder, encoder.config, batch.input_ids, batch.attention_mask)
    with torch.inference_mode():
        cached = [step.embedding for step in generate(*arguments, max_steps=5)]
        naive = generate_naive(*arguments, max_steps=5)
    for own, expected in zip(cached, naive, strict=True):
        torch.testing.assert_close(own, expected, atol=1e-5, rtol=0)


def test_vectors_do_not_depend_on_the_batch_and_the_start_is_the_encoders_own(base, tmp_path):
    folder = _write(tmp_path / "model", base, reading_tensors())
    embedder = GircseEmbedder(str(folder), dtype="float32")
    together = embedder.embed_documents(models.TEXTS, 3)
    alone = np.concatenate([embedder.embed_documents([text], 3) for text in models.TEXTS])
    assert np.allclose(together, alone, atol=1e-5)
    plain = GircseEmbedder(str(_write(tmp_path / "plain", base, {})), dtype="float32")
    own = plain.embed_documents(models.TEXTS, 0)
    assert np.allclose(embedder.embed_documents(models.TEXTS, 0), own, atol=1e-6)
    assert not np.allclose(plain.embed_documents(models.TEXTS, 3), together, atol=1e-3)


def test_what_is_read_is_a_mean_weighted_by_rarity(words):
    rarity = torch.zeros(VOCABULARY)
    rarity[5], rarity[6] = 3.0, 1.0
    nothing = {
        "salience": torch.zeros(2, HIDDEN),
        "query": torch.zeros(2, HIDDEN, HIDDEN),
        "sharpness": torch.ones(2),
        "centre": torch.zeros(HIDDEN),
        "offset": torch.zeros(HIDDEN),
        "length": torch.tensor(0.0),
        "words": torch.zeros(HIDDEN, HIDDEN),
        "states": torch.eye(HIDDEN),
    }
    reading = _reading(words, rarity=rarity, **nothing)
    prompt = _prepared(reading, [[5, 6, 9]], words)
    read = reading.read(prompt, torch.randn(1, HIDDEN))
    expected = functional.normalize(prompt.states[0, 0] * 3.0 + prompt.states[0, 1], dim=-1)
    torch.testing.assert_close(read[0], expected, atol=2e-3, rtol=0)


def test_words_are_read_by_their_codes_and_repeated_ones_less_and_less(words):
    rarity = torch.zeros(VOCABULARY)
    rarity[5], rarity[6] = 1.0, 1.0
    nothing = {
        "salience": torch.zeros(2, HIDDEN),
        "query": torch.zeros(2, HIDDEN, HIDDEN),
        "sharpness": torch.ones(2),
        "offset": torch.zeros(HIDDEN),
        "length": torch.tensor(0.0),
        "words": torch.eye(HIDDEN),
        "states": torch.zeros(HIDDEN, HIDDEN),
        "tokens": torch.tensor([6, 5]),
        "codes": torch.eye(HIDDEN)[:2],
    }
    reading = _reading(words, rarity=rarity, **nothing)
    read = reading.read(_prepared(reading, [[5, 5, 5, 6]], words), torch.randn(1, HIDDEN))[0]
    # 3 / (3 + 1) against 1 / (1 + 1), of unit length
    assert (read[1] / read[0]).item() == pytest.approx(1.5, rel=1e-2)
    assert read[2:].abs().max() < 1e-6


def test_short_documents_take_it_in_proportion_and_queries_in_full(words):
    reading = _reading(words, offset=torch.zeros(HIDDEN))  # in full from 12 tokens on
    state = torch.randn(1, HIDDEN)
    rows = [[5, 6, 7, 8, 9, 10]]
    short = reading.read(_prepared(reading, rows, words), state)
    asked = reading.for_queries()
    whole = asked.read(_prepared(asked, rows, words), state)
    torch.testing.assert_close(short, whole / 2)
    long = [[*range(5, 25)]]
    torch.testing.assert_close(
        reading.read(_prepared(reading, long, words), state),
        asked.read(_prepared(asked, long, words), state),
    )


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("rarity", torch.ones(7), r"reading.rarity is of shape \(7,\); expected \(30522,\)"),
        ("query", torch.ones(2, 31, 32), r"reading.query is of shape \(2, 31, 32\)"),
        ("words", None, "reading.words is missing"),
        ("surprise", torch.ones(1), "reading.surprise is of shape .*there is no such tensor"),
        ("codes", torch.ones(3, HIDDEN), "reading.tokens must be a list of token ids"),
        ("tokens", torch.tensor([10**6]), "reading.tokens must be a list of token ids"),
        ("tokens", torch.tensor([5, 6]), "reading.codes is missing"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(name, tensor, message, base, tmp_path):
    tensors = reading_tensors()
    tensors.pop(f"reading.{name}", None)
    if tensor is not None:
        tensors[f"reading.{name}"] = tensor
    with pytest.raises(ModelIntegrityError, match=message):
        GircseEmbedder(str(_write(tmp_path / "model", base, tensors)))
