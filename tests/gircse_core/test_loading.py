"""Finding, checking and loading models: folders, adapters, damage, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from gircse_core import GircseEmbedder, integrity
from gircse_core.backbones.causal import CausalBackbone
from gircse_core.config import ModelConfig
from gircse_core.errors import (
    GircseError,
    ModelIntegrityError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from gircse_core.integrity import weights_digest
from gircse_core.registry import list_models, resolve, verify
from tests.gircse_core import models
from tests.gircse_core.models import TEXTS


@pytest.mark.parametrize("architecture", ["qwen2", "mistral"])
def test_a_peft_adapter_is_merged_as_published(architecture, checkpoints, tmp_path):
    adapter = models.write_peft_adapter(tmp_path / "adapter", checkpoints[architecture])
    spec = resolve(str(adapter))
    assert spec.base == checkpoints[architecture].resolve()
    config = spec.config
    assert (config.pooling, config.padding_side, config.max_length) == (
        "generate_mean",
        "left",
        512,
    )
    assert (config.add_special_tokens, config.add_eos, config.default_steps) == (False, False, 5)
    embedder = GircseEmbedder(spec, dtype="float32")

    # The same by peft itself, adapter kept apart, one step written out by hand.
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(spec.base), str(adapter)
    ).eval()
    ids = torch.tensor([embedder._tokenizer.encode([TEXTS[1]])[0]])
    with torch.inference_mode():
        words = model.get_input_embeddings()
        logits = model(input_ids=ids).logits[:, -1]
        soft = logits.softmax(-1) @ words.weight
        sequence = torch.cat([words(ids), soft[:, None]], dim=1)
        hidden = model(inputs_embeds=sequence, output_hidden_states=True).hidden_states[-1]
    expected = torch.nn.functional.normalize(hidden[0, -1], dim=0).numpy()
    assert np.abs(embedder.embed_documents([TEXTS[1]], 1)[0] - expected).max() < 1e-5

    plain = GircseEmbedder(str(checkpoints[architecture]), dtype="float32")
    assert np.abs(plain.embed_documents(TEXTS) - embedder.embed_documents(TEXTS)).max() > 1e-3


@pytest.mark.parametrize("architecture", sorted(models.FURTHER_CONFIGS))
def test_other_architectures_are_run_faithfully(architecture, tmp_path):
    """Scaled embeddings, capped and rescaled heads: the probe at load compares with the model."""
    folder = models.write_causal(tmp_path / "m", models.FURTHER_CONFIGS[architecture])
    embedder = GircseEmbedder(str(folder), dtype="float32")
    vectors = embedder.embed_documents(TEXTS, 5)
    for row, text in enumerate(TEXTS):
        assert np.abs(embedder.embed_documents([text], 5)[0] - vectors[row]).max() < 1e-5


def test_a_head_that_does_more_is_refused(checkpoints):
    spec = resolve(str(checkpoints["llama"]))
    model = AutoModelForCausalLM.from_pretrained(spec.base)
    own = model.forward

    def twisted(*arguments, **named):
        output = own(*arguments, **named)
        output.logits = output.logits.roll(1, dims=-1)
        return output

    model.forward = twisted
    with pytest.raises(UnsupportedModelError, match="head of LlamaForCausalLM"):
        CausalBackbone(model, spec.config)


def test_a_model_that_ignores_the_cache_is_refused(checkpoints):
    """As one does that knows it by another name: it takes what it does not know in silence."""
    spec = resolve(str(checkpoints["llama"]))
    model = AutoModelForCausalLM.from_pretrained(spec.base)
    own = model.base_model.forward

    def forgetful(*arguments, cache=None, **named):
        return own(*arguments, **named)

    model.base_model.forward = forgetful
    with pytest.raises(UnsupportedModelError, match="cache of LlamaForCausalLM"):
        CausalBackbone(model, spec.config)


def test_pickled_weights_are_refused(checkpoints, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(checkpoints["qwen2"], folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelIntegrityError, match="Only safetensors"):
        GircseEmbedder(str(folder))


def test_pickled_adapters_are_refused(checkpoints, tmp_path):
    adapter = models.write_peft_adapter(tmp_path / "adapter", checkpoints["qwen2"])
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({}, adapter / "adapter_model.bin")
    with pytest.raises(ModelIntegrityError, match="Only safetensors"):
        GircseEmbedder(str(adapter))


def test_a_pickled_adapter_beside_other_weights_is_not_read(checkpoints, tmp_path, monkeypatch):
    adapter = models.write_peft_adapter(tmp_path / "adapter", checkpoints["qwen2"])
    weights = adapter / "adapter_model.safetensors"
    torch.save(load_file(weights), adapter / "adapter_model.bin")
    weights.rename(adapter / "adapter_other.safetensors")
    monkeypatch.setattr(torch, "load", lambda *args, **named: pytest.fail("a pickle was read"))
    with pytest.raises(ModelIntegrityError, match=r"no adapter_model\.safetensors"):
        GircseEmbedder(str(adapter))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"r": "four"}, "does not fit its base model"),
        ({"peft_type": "NO_SUCH"}, "does not fit its base model"),
        ({"base_model_name_or_path": "a/b", "revision": 5}, "revision must be a text, but is 5"),
    ],
)
def test_damaged_settings_of_an_adapter_are_named(checkpoints, tmp_path, changed, message):
    adapter = models.write_peft_adapter(tmp_path / "adapter", checkpoints["qwen2"])
    models.change_json(adapter / "adapter_config.json", changed)
    with pytest.raises(ModelIntegrityError, match=message):
        GircseEmbedder(str(adapter))


def test_an_adapter_that_cannot_be_merged_is_refused(checkpoints, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(checkpoints["qwen2"])
    prompt = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    get_peft_model(base, prompt).save_pretrained(tmp_path / "adapter")
    with pytest.raises(UnsupportedModelError, match="PROMPT_TUNING"):
        GircseEmbedder(str(tmp_path / "adapter"))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"hidden_size": 48}, ModelIntegrityError, r"in the shape .*, but by its config\.json"),
        ({"num_hidden_layers": "three"}, UnsupportedModelError, "num_hidden_layers"),
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            UnsupportedModelError,
            "transformers cannot load",
        ),
    ],
)
def test_a_base_that_does_not_fit_its_settings_is_refused(
    checkpoints, tmp_path, changed, error, message
):
    folder = tmp_path / "base"
    shutil.copytree(checkpoints["qwen2"], folder)
    models.change_json(folder / "config.json", changed)
    with pytest.raises(error, match=message):
        GircseEmbedder(str(folder))


def _drop_weight(file: Path, name_part: str) -> None:
    tensors = load_file(file)
    name = next(name for name in tensors if name_part in name)
    del tensors[name]
    save_file(tensors, file, metadata={"format": "pt"})


def test_missing_weights_are_not_replaced_by_random_ones(checkpoints, tmp_path):
    folder = tmp_path / "incomplete"
    shutil.copytree(checkpoints["qwen2"], folder)
    _drop_weight(folder / "model.safetensors", "layers.1.mlp.up_proj")
    with pytest.raises(ModelIntegrityError, match=r"lacks 1 of .*layers\.1\.mlp\.up_proj"):
        GircseEmbedder(str(folder))

    adapter = models.write_peft_adapter(tmp_path / "adapter", checkpoints["qwen2"])
    _drop_weight(adapter / "adapter_model.safetensors", "layers.2.mlp.up_proj.lora_B")
    with pytest.raises(ModelIntegrityError, match="does not fit its base model"):
        GircseEmbedder(str(adapter))


def test_remote_code_is_refused(checkpoints, tmp_path):
    folder = tmp_path / "remote"
    shutil.copytree(checkpoints["qwen2"], folder)
    values = json.loads((folder / "config.json").read_text())
    values |= {"model_type": "strange", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "evil.py").write_text("raise SystemExit('remote code ran')")
    with pytest.raises(UnsupportedModelError):
        GircseEmbedder(str(folder))


@pytest.mark.parametrize("damage", ["truncate", "garbage"])
def test_damaged_weights_are_named(checkpoints, tmp_path, damage):
    for name in ("qwen2", "encoder"):
        source = checkpoints["qwen2"].parent / name
        folder = tmp_path / name
        shutil.copytree(source, folder)
        file = folder / "model.safetensors"
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2] if damage == "truncate" else b"x" * 100)
        with pytest.raises(GircseError, match=r"cannot|safetensors"):
            GircseEmbedder(str(folder))


def test_altered_weights_and_adapters_are_found(checkpoints, tmp_path):
    folder = tmp_path / "altered"
    shutil.copytree(checkpoints["prefix"], folder)
    data = bytearray((folder / "adapter.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "adapter.safetensors").write_bytes(data)
    with pytest.raises(ModelIntegrityError, match=r"has SHA-256 .*, expected"):
        GircseEmbedder(str(folder))

    base = tmp_path / "base"
    shutil.copytree(checkpoints["prefix"].parent / "encoder", base)
    model = models.write_prefix_model(
        tmp_path / "model", base, models.random_adapter(layers=3, hidden=32, inner=64)
    )
    assert all(check.ok for check in verify(str(model)))
    data = bytearray((base / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (base / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelIntegrityError, match=r"has SHA-256 .*, expected"):
        GircseEmbedder(str(model))
    failed = [check for check in verify(str(model)) if not check.ok]
    assert [check.name for check in failed] == ["weights"]


def test_an_adapter_that_does_not_fit_is_refused(checkpoints, tmp_path):
    base = checkpoints["prefix"].parent / "encoder"
    wrong = {
        "too many layers": models.random_adapter(layers=4, hidden=32, inner=64),
        "too wide": models.random_adapter(layers=3, hidden=48, inner=64),
        "other names": {"layers.0.gate.lora_A": torch.zeros(2, 32)},
        "half a pair": {"layers.0.query.lora_B": torch.zeros(32, 2)},
        "no number": {
            "layers.x.query.lora_A": torch.zeros(2, 32),
            "layers.x.query.lora_B": torch.zeros(32, 2),
        },
        "counted from the end": {
            "layers.-1.query.lora_A": torch.zeros(2, 32),
            "layers.-1.query.lora_B": torch.zeros(32, 2),
        },
        "no matrix": {
            "layers.0.query.lora_A": torch.tensor(1.0),
            "layers.0.query.lora_B": torch.zeros(32, 2),
        },
        "no step": {"step_embeddings": torch.zeros(0, 32)},
    }
    for name, tensors in wrong.items():
        folder = models.write_prefix_model(tmp_path / name, base, tensors)
        with pytest.raises(ModelIntegrityError, match=r"adapter\.safetensors"):
            GircseEmbedder(str(folder))


def test_encoders_of_other_kinds_are_refused(checkpoints, tmp_path):
    folder = tmp_path / "relative"
    shutil.copytree(checkpoints["prefix"].parent / "encoder", folder)
    models.change_json(folder / "config.json", {"hidden_act": "relu"})
    with pytest.raises(UnsupportedModelError, match="hidden_act 'relu'"):
        GircseEmbedder(str(folder))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "config.json",
            {"intermediate_size": None},
            "intermediate_size is None; expected",
        ),
        ("config.json", {"num_hidden_layers": True}, "num_hidden_layers is True"),
        ("config.json", {"layer_norm_eps": "small"}, "layer_norm_eps is 'small'"),
        ("config.json", {"num_attention_heads": 5}, "hidden_size 32 cannot be shared among"),
        ("config.json", {"max_position_embeddings": "many"}, "must be a number, but is 'many'"),
        ("config.json", {"hidden_size": None, "text_config": [1]}, "states no hidden_size"),
        ("config.json", "{", r"config\.json cannot be read"),
        ("1_Pooling/config.json", "{", r"1_Pooling/config\.json cannot be read"),
        ("tokenizer.json", "{", r"tokenizer\.json cannot be read as a tokenizer"),
        ("tokenizer_config.json", "[]", r"tokenizer_config\.json holds no JSON object"),
    ],
)
def test_damaged_settings_are_named(checkpoints, tmp_path, file, content, message):
    folder = tmp_path / "encoder"
    shutil.copytree(checkpoints["prefix"].parent / "encoder", folder)
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    else:
        models.change_json(path, content)
    with pytest.raises(ModelIntegrityError, match=message):
        GircseEmbedder(str(folder))


@pytest.mark.parametrize("name", ["gate", "softmax_temperature", "logit_scale", "coverage"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 10**400])
def test_conventions_that_are_no_usable_number_are_refused(checkpoints, tmp_path, name, value):
    folder = tmp_path / "model"
    shutil.copytree(checkpoints["prefix"], folder)
    models.change_json(folder / "gircse.json", {name: value})
    with pytest.raises(ModelIntegrityError, match=name):
        resolve(str(folder))


def test_vectors_that_are_no_numbers_are_never_given(checkpoints, tmp_path):
    base = checkpoints["prefix"].parent / "encoder"
    adapter = models.random_adapter(layers=3, hidden=32, inner=64)
    adapter["layers.1.up.lora_A"][0, 0] = float("nan")
    embedder = GircseEmbedder(str(models.write_prefix_model(tmp_path / "m", base, adapter)))
    assert np.isfinite(embedder.embed_documents(TEXTS, 0)).all()
    with pytest.raises(UnsupportedModelError, match="no numbers at step 2"):
        embedder.embed_documents_at(TEXTS, [0, 2])
    steps = embedder.refine(TEXTS[0], 2)
    assert next(steps).step == 0
    with pytest.raises(UnsupportedModelError, match="no numbers at step 1"):
        next(steps)


def test_a_model_of_ours_is_never_completed_from_a_hub_offline(checkpoints, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(checkpoints["prefix"], folder)
    file = folder / "gircse.json"
    models.change_json(file, {"base": {"name": "nobody/nothing"}})
    asked = []

    def fetch(name, *, revision=None, offline=False):
        asked.append((name, offline))
        raise ModelNotFoundError(name)

    monkeypatch.setattr("gircse_core.registry.fetch", fetch)
    for offline in (True, False):
        with pytest.raises(ModelNotFoundError):
            resolve(str(folder), offline=offline)
    assert asked == [("nobody/nothing", True), ("nobody/nothing", False)]


def test_a_plain_encoder_folder_runs_at_step_zero(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["prefix"].parent / "encoder"), dtype="float32")
    assert embedder.info.max_steps == 0
    assert embedder.embed_documents(TEXTS).shape == (len(TEXTS), 32)


def test_an_empty_folder_and_a_missing_hub_model(tmp_path, monkeypatch):
    with pytest.raises(ModelIntegrityError, match="is no model"):
        resolve(str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="gircse model pull nobody/nothing"):
        resolve("nobody/nothing", offline=True)
    assert [check.ok for check in verify("nobody/nothing")] == [False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "max"}, "pooling is 'max'"),
        ({"max_length": "long"}, "max_length must be int"),
        ({"default_steps": 65}, "default_steps is 65"),
        ({"surprise": 1}, r"unknown keys \['surprise'\]"),
        ({"softmax_temperature": 0.0}, "softmax_temperature"),
        ({"query_template": "no place"}, "query_template"),
        ({"family": "causal"}, "pooling"),
        ({"max_length": 500}, "need more positions"),
        ({"base": "encoder"}, "base must be an object"),
    ],
)
def test_a_bad_gircse_json_is_explained(checkpoints, tmp_path, change, message):
    folder = tmp_path / "model"
    shutil.copytree(checkpoints["prefix"], folder)
    models.change_json(folder / "gircse.json", change)
    with pytest.raises(ModelIntegrityError, match=message):
        GircseEmbedder(str(folder))


def test_a_config_survives_saving(tmp_path):
    config = ModelConfig(family="causal", pooling="last", max_length=64, task=None)
    config.save(tmp_path)
    values = json.loads((tmp_path / "gircse.json").read_text())
    assert ModelConfig.from_dict(values, origin="test") == config


def test_the_default_model_verifies():
    checks = verify("gircse-minilm")
    assert [check.name for check in checks] == ["files", "weights", "tokenizer", "adapter"]
    assert all(check.ok for check in checks)


def test_known_models_are_listed():
    names = [name for name, _ in list_models()]
    assert names == ["gircse-minilm", "Roytsai27/GIRCSE-Mistral7B", "Roytsai27/GIRCSE-QWEN7B"]


def test_padding_token_of_causal_models_is_eos(checkpoints):
    embedder = GircseEmbedder(str(checkpoints["qwen2"]), dtype="float32")
    batch = embedder._tokenizer.pad([[5, 6, 7], [8]], [0, 1])
    assert batch.input_ids.tolist() == [[2] * 13 + [5, 6, 7], [2] * 15 + [8]]
    assert batch.attention_mask.sum(dim=1).tolist() == [3, 1]
    assert batch.attention_mask[:, -3:].tolist() == [[1, 1, 1], [0, 0, 1]]
    alone = embedder._tokenizer.pad([[5, 6, 7]], [0])
    assert alone.input_ids.tolist() == [[5, 6, 7]]


def test_a_tokenizer_without_eos_is_explained(checkpoints, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(checkpoints["qwen2"], folder)
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ModelIntegrityError, match="eos_token"):
        GircseEmbedder(str(folder))


def test_the_adapter_folder_may_lie_beside_its_base(checkpoints, tmp_path):
    """A relative base path is relative to the adapter, wherever the program was started."""
    base = tmp_path / "base"
    shutil.copytree(checkpoints["qwen2"], base)
    adapter = models.write_peft_adapter(tmp_path / "adapter", base)
    file = adapter / "adapter_config.json"
    models.change_json(file, {"base_model_name_or_path": "../base"})
    assert resolve(str(adapter)).base == base.resolve()
    models.change_json(file, {"base_model_name_or_path": str(Path("/no/such/base"))})
    with pytest.raises(ModelIntegrityError, match="/no/such/base"):
        resolve(str(adapter))


def test_weights_are_read_for_their_name_once_and_again_when_they_change(tmp_path, monkeypatch):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    first = weights_digest(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(integrity, "file_sha256", lambda file: pytest.fail("it was read again"))
        assert weights_digest(tmp_path) == first
    file.write_bytes(b"two")
    assert weights_digest(tmp_path) != first
    (tmp_path / "model-2.safetensors").write_bytes(b"one")
    assert weights_digest(tmp_path) != first
