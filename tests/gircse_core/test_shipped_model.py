"""The default model as it is shipped: its files, its steps, and what they may not change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gircse_core import GircseEmbedder
from gircse_core.errors import ModelIntegrityError
from gircse_core.integrity import file_sha256
from gircse_core.registry import DEFAULT_MODEL, resolve, verify
from tests.gircse_core.models import MINILM, TEXTS

LONG = " ".join(f"harbour {number}" for number in range(400))  # beyond the limit


@pytest.fixture(scope="module")
def shipped() -> GircseEmbedder:
    return GircseEmbedder(dtype="float32")


@pytest.fixture(scope="module")
def base() -> GircseEmbedder:
    """The base encoder, as a plain checkpoint."""
    return GircseEmbedder(str(MINILM), dtype="float32")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the model's folder, which the default's name now stands for."""
    adapter = resolve(DEFAULT_MODEL).adapter
    assert adapter is not None
    folder = tmp_path / DEFAULT_MODEL
    shutil.copytree(adapter.parent, folder)
    monkeypatch.setattr("gircse_core.registry._SHIPPED", tmp_path)
    return folder


def test_its_files_are_intact_and_have_the_stated_checksums():
    spec = resolve(DEFAULT_MODEL, offline=True)
    assert spec.adapter is not None
    stated = json.loads((spec.adapter.parent / "gircse.json").read_text(encoding="utf-8"))
    assert stated["adapter_sha256"] == file_sha256(spec.adapter)
    assert stated["base"]["sha256"] == file_sha256(spec.base / "model.safetensors")
    checks = {check.name: check for check in verify(DEFAULT_MODEL)}
    assert list(checks) == ["files", "weights", "tokenizer", "adapter"]
    assert all(check.ok for check in checks.values())
    assert checks["adapter"].detail == f"sha256:{stated['adapter_sha256']}"


def test_it_refines_by_five_steps_unless_told_otherwise(shipped):
    info = shipped.info
    assert (info.min_steps, info.default_steps, info.max_steps) == (0, 5, 64)
    assert info.config.trained_steps >= info.default_steps
    assert np.array_equal(shipped.embed_documents(TEXTS), shipped.embed_documents(TEXTS, 5))
    assert np.array_equal(shipped.embed_queries(TEXTS), shipped.embed_queries(TEXTS, 5))


def test_its_card_is_beside_it_and_tells_the_same_conventions():
    adapter = resolve(DEFAULT_MODEL).adapter
    assert adapter is not None
    card = (adapter.parent / "README.md").read_text(encoding="utf-8")
    shown = card.partition("## Model configuration\n\n```json\n")[2].partition("\n```")[0]
    stated = json.loads((adapter.parent / "gircse.json").read_text(encoding="utf-8"))
    assert stated == json.loads(shown) | {key: stated[key] for key in ("base", "adapter_sha256")}
    assert (adapter.parent / "curves.png").is_file()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_step_zero_is_exactly_the_base_encoder(dtype):
    texts = [*TEXTS, LONG]
    mine, plain = GircseEmbedder(dtype=dtype), GircseEmbedder(str(MINILM), dtype=dtype)
    assert np.array_equal(mine.embed_queries(texts, 0), plain.embed_queries(texts, 0))
    assert np.array_equal(mine.embed_documents(texts, 0), plain.embed_documents(texts, 0))


def test_every_step_to_twenty_gives_another_unit_vector(shipped, base):
    steps = list(range(21))
    vectors = shipped.embed_queries_at([*TEXTS, LONG], steps)
    assert np.abs(np.linalg.norm(vectors, axis=2) - 1).max() < 1e-5
    moved = np.linalg.norm(np.diff(vectors, axis=0), axis=2)  # (20, N)
    assert moved.min() > 1e-5  # rounding alone moves a hundredth of that
    away = np.linalg.norm(vectors[1:] - base.embed_queries([*TEXTS, LONG], 0), axis=2)
    assert away.min() > 1e-4


@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_flipped_byte_in_the_adapter_is_refused_by_name(copy, place):
    file = copy / "adapter.safetensors"
    content = bytearray(file.read_bytes())
    content[int(place * len(content)) if place >= 0 else place] ^= 1
    file.write_bytes(content)
    for name in (DEFAULT_MODEL, str(copy)):
        with pytest.raises(ModelIntegrityError, match=r"adapter\.safetensors has SHA-256"):
            GircseEmbedder(name)
        (check,) = verify(name)
        assert not check.ok
        assert str(file) in check.detail


def test_a_missing_adapter_is_refused_rather_than_left_out(copy):
    (copy / "adapter.safetensors").unlink()
    with pytest.raises(ModelIntegrityError, match=r"adapter\.safetensors is missing"):
        GircseEmbedder()


def test_a_copy_of_its_folder_is_the_same_model(copy, shipped, monkeypatch):
    monkeypatch.undo()
    elsewhere = GircseEmbedder(str(copy), dtype="float32")
    assert np.array_equal(elsewhere.embed_queries(TEXTS), shipped.embed_queries(TEXTS))
    mine, theirs = shipped.info.fingerprint(), elsewhere.info.fingerprint()
    assert {name for name in mine if mine[name] != theirs[name]} == {"model"}
