"""The public entry, against sentence-transformers, transformers and its own promises."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gircse_core import GircseEmbedder, GircseError
from gircse_core.errors import InputError, ModelNotFoundError, StepCountError
from gircse_core.registry import resolve
from tests.gircse_core.models import MINILM, TEXTS

LONG = [
    " ".join(f"{word} {number}" for number in range(count))
    for count, word in ((3, "garden"), (40, "harbour"), (90, "ledger"), (11, "violin"))
]


@pytest.fixture(scope="module")
def default() -> GircseEmbedder:
    return GircseEmbedder(dtype="float32")


@pytest.fixture(scope="module")
def adapted(checkpoints: dict[str, Path]) -> GircseEmbedder:
    return GircseEmbedder(str(checkpoints["minilm_adapted"]), dtype="float32")


@pytest.fixture(scope="module")
def reference():
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(MINILM), device="cpu")
    model.max_seq_length = 256
    return model


def test_step_zero_equals_sentence_transformers(default, reference):
    texts = TEXTS + LONG
    expected = reference.encode(texts, normalize_embeddings=True)
    assert np.abs(default.embed_documents(texts, steps=0) - expected).max() < 1e-5
    assert np.abs(default.embed_queries(texts, steps=0) - expected).max() < 1e-5


def test_step_zero_of_an_adapted_model_is_still_the_base(adapted, default):
    assert np.abs(adapted.embed_queries(TEXTS, 0) - default.embed_queries(TEXTS, 0)).max() < 1e-6
    assert np.abs(adapted.embed_queries(TEXTS, 3) - default.embed_queries(TEXTS, 0)).max() > 1e-3


def test_text_beyond_the_limit_is_cut_counted_and_said(default, reference, caplog):
    long = "the quick brown fox " * 200
    before = default.truncated
    with caplog.at_level(logging.WARNING):
        vectors = default.embed_documents([long, "short"], steps=0)
    assert default.truncated == before + 1
    assert "1 of 2 texts are longer than the model's 256 tokens" in caplog.text
    expected = reference.encode([long, "short"], normalize_embeddings=True)
    assert np.abs(vectors - expected).max() < 1e-5


@pytest.mark.parametrize("name", ["qwen2", "gpt2", "minilm_adapted"])
def test_rows_keep_input_order_and_unit_length_in_any_batch(name, checkpoints):
    texts = TEXTS + LONG
    spec = resolve(str(checkpoints[name]))
    whole = GircseEmbedder(spec, dtype="float32", batch_tokens=100_000).embed_documents(texts, 4)
    small = GircseEmbedder(spec, dtype="float32", batch_tokens=64).embed_documents(texts, 4)
    assert whole.dtype == np.float32
    assert whole.shape == (len(texts), spec.dim)
    assert np.abs(np.linalg.norm(whole, axis=1) - 1).max() < 1e-5
    assert np.abs(whole - small).max() < 1e-5
    alone = GircseEmbedder(spec, dtype="float32").embed_documents([texts[6]], 4)
    assert np.abs(whole[6] - alone[0]).max() < 1e-5


@pytest.mark.parametrize("name", ["qwen2", "llama", "mistral", "gpt2", "minilm_adapted"])
def test_bfloat16_stays_close(name, checkpoints):
    spec = resolve(str(checkpoints[name]))
    exact = GircseEmbedder(spec, dtype="float32").embed_documents(TEXTS + LONG, 5)
    rounded = GircseEmbedder(spec, dtype="bfloat16").embed_documents(TEXTS + LONG, 5)
    assert (exact * rounded).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize("name", ["qwen2", "minilm_adapted"])
def test_refine_yields_what_separate_runs_give(name, checkpoints):
    embedder = GircseEmbedder(str(checkpoints[name]), dtype="float32")
    refined = list(embedder.refine(TEXTS[0], 6, words=5))
    assert [step.step for step in refined] == list(range(embedder.info.min_steps, 7))
    for step in refined:
        alone = embedder.embed_queries([TEXTS[0]], step.step)[0]
        assert np.abs(step.vector - alone).max() < 1e-5
        assert step.seconds > 0
        assert len(step.words) == (0 if step.step == 0 else 5)
        assert all(0 <= share <= 1 for _, share in step.words)


def test_refine_may_be_left_early_and_interleaved(adapted):
    first, second = adapted.refine(TEXTS[0], 64), adapted.refine(TEXTS[1], 64)
    pairs = [(next(first), next(second)) for _ in range(3)]
    assert np.abs(pairs[2][1].vector - adapted.embed_queries([TEXTS[1]], 2)[0]).max() < 1e-5


def test_refine_leaves_the_caller_outside_of_inference_mode(adapted):
    import torch

    for _ in adapted.refine(TEXTS[0], 2):
        assert not torch.is_inference_mode_enabled()


def test_an_encoder_without_an_adapter_has_step_zero_alone_and_says_so(caplog, reference):
    with caplog.at_level(logging.INFO, logger="gircse_core"):
        embedder = GircseEmbedder(str(MINILM), dtype="float32")
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    assert np.abs(embedder.embed_documents(TEXTS) - expected).max() < 1e-5
    assert "no trained refinement" in caplog.text
    assert (embedder.info.min_steps, embedder.info.max_steps) == (0, 0)
    with pytest.raises(StepCountError, match="no refinement has been trained for it"):
        embedder.embed_queries(["x"], steps=1)


@pytest.mark.parametrize("steps", [-1, 65, 1.5, True])
def test_steps_out_of_range(adapted, steps):
    with pytest.raises(StepCountError, match=r"choose from 0 to 64"):
        adapted.embed_queries(["x"], steps)
    with pytest.raises(StepCountError):
        adapted.refine("x", steps)


def test_sixty_four_steps_stay_finite(adapted):
    vectors = adapted.embed_queries(TEXTS + LONG, 64)
    assert np.isfinite(vectors).all()


def test_causal_models_define_no_step_zero(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["qwen2"]), dtype="float32")
    with pytest.raises(StepCountError, match="choose from 1 to 64"):
        embedder.embed_queries(["x"], 0)


@pytest.mark.parametrize("bad", ["", "   \n", None, 7, "caf\udce9"])
def test_unusable_text_is_named(default, bad):
    with pytest.raises(InputError, match="Text 1"):
        default.embed_documents(["fine", bad])
    with pytest.raises(InputError, match="Text 0"):
        list(default.refine(bad, 0))


def test_a_string_is_no_list_of_texts(default):
    with pytest.raises(InputError, match="list of texts"):
        default.embed_queries("word")


def test_nothing_gives_an_empty_matrix(default):
    assert default.embed_documents([]).shape == (0, 384)


def test_token_counts_are_those_of_the_whole_prompt(default, checkpoints):
    long = "word " * 400
    assert default.max_tokens == 256
    assert default.token_counts(["Hello world", long]) == [4, 402]  # [CLS] and [SEP] among them
    embedder = GircseEmbedder(str(checkpoints["mistral"]), dtype="float32")
    assert embedder.token_counts(["Hello"], as_queries=True) > embedder.token_counts(["Hello"])
    with pytest.raises(InputError, match="empty"):
        default.token_counts([" "])


def test_braces_in_a_text_are_text(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["qwen2"]), dtype="float32")
    one = embedder.embed_queries(["a {text} {task} {} b"])
    two = embedder.embed_queries(["a {other} {names} {} b"])
    assert np.abs(one - two).max() > 1e-5


def test_queries_carry_the_instruction_and_documents_do_not(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["mistral"]), dtype="float32")
    prompt = f"Instruct: {embedder.config.task}\nQuery:{TEXTS[0]}"
    as_query = embedder.embed_queries([TEXTS[0]])
    assert np.abs(as_query - embedder.embed_documents([prompt])).max() < 1e-6
    assert np.abs(as_query - embedder.embed_documents([TEXTS[0]])).max() > 1e-3


def test_unknown_names_devices_and_types():
    with pytest.raises(ModelNotFoundError, match="gircse-minilm"):
        GircseEmbedder("no-such-model")
    with pytest.raises(GircseError, match=r"cannot be used: [^.\n]+\. Leave the device out"):
        GircseEmbedder(device="cuda:99")
    with pytest.raises(GircseError, match="float8"):
        GircseEmbedder(dtype="float8")
    with pytest.raises(InputError, match="batch_tokens"):
        GircseEmbedder(batch_tokens=0)


def test_many_threads_share_an_embedder(adapted):
    from concurrent.futures import ThreadPoolExecutor

    expected = adapted.embed_queries(TEXTS, 3)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: adapted.embed_queries(TEXTS, 3), range(16)))
    assert max(np.abs(result - expected).max() for result in results) < 1e-5


def test_the_default_model_needs_no_transformers_and_the_package_no_torch():
    program = (
        "import sys, gircse_core, gircse_core.registry as r;"
        "r.resolve('gircse-minilm').fingerprint();"
        "assert 'torch' not in sys.modules;"
        "gircse_core.GircseEmbedder().embed_queries(['x']);"
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_fingerprints_tell_models_apart(checkpoints, default):
    prints = [resolve(str(checkpoints[name])).fingerprint() for name in ("qwen2", "prefix")]
    prints.append(default.info.fingerprint())
    assert len({tuple(sorted(p.items())) for p in prints}) == 3
    assert default.fingerprint["dtype"] == "float32"
    assert default.fingerprint == GircseEmbedder(dtype="float32").fingerprint
