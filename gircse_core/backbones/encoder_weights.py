"""The weights of a BERT encoder and of its adapter, read from safetensors.

Plain tensors and no modules: the same weights serve the bidirectional prompt path and, with the
adapter merged into a second set, the generated positions; importing transformers is not needed,
which keeps a cold start short.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gircse_core.backbones.reading import READING_PREFIX, Reading
from gircse_core.errors import ModelIntegrityError, UnsupportedModelError
from gircse_core.integrity import read_json

__all__ = [
    "ADAPTED",
    "STEP_TENSORS",
    "EncoderConfig",
    "EncoderWeights",
    "LayerWeights",
    "StepWeights",
    "load_encoder",
    "load_tensors",
    "merge_adapter",
]

# Linear maps that an adapter may change, by their names in an adapter file, with the name of the
# tensor of LayerWeights that holds each and the third of it that is meant (of the fused q, k, v).
ADAPTED: Mapping[str, tuple[str, int | None]] = {
    "query": ("qkv_weight", 0),
    "key": ("qkv_weight", 1),
    "value": ("qkv_weight", 2),
    "attention_output": ("output_weight", None),
    "up": ("up_weight", None),
    "down": ("down_weight", None),
}

# What else an adapter file may hold, in the order of StepWeights.
STEP_TENSORS = ("step_embeddings", "query_embedding", "readout", "head_tokens")


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The sizes of a BERT encoder, from its ``config.json`` and pooling file."""

    hidden_size: int
    inner_size: int
    layers: int
    heads: int
    vocabulary_size: int
    max_positions: int
    token_types: int
    norm_epsilon: float
    pooling: str

    @classmethod
    def load(cls, folder: Path) -> EncoderConfig:
        """Read the sizes.

        Raises:
            UnsupportedModelError: it is no BERT encoder with GELU and mean or CLS pooling.
            ModelIntegrityError: a size is missing or no number above 0.
        """
        values = read_json(folder / "config.json")
        traits = {
            "model_type": (values.get("model_type"), ("bert",)),
            "hidden_act": (values.get("hidden_act"), ("gelu",)),
            "position_embedding_type": (
                values.get("position_embedding_type", "absolute"),
                ("absolute",),
            ),
        }
        for name, (value, supported) in traits.items():
            if value not in supported:
                raise UnsupportedModelError(
                    f"{folder}/config.json has {name} {value!r}; as a prefix encoder only "
                    f"{supported[0]!r} is supported. Causal models need no such limit."
                )

        def size(name: str, kinds: tuple[type, ...] = (int,)) -> Any:  # noqa: ANN401
            value: Any = values.get(name)
            if type(value) not in kinds or value <= 0:
                raise ModelIntegrityError(
                    f"{folder}/config.json: {name} is {value!r}; expected a number above 0."
                )
            return value

        if size("hidden_size") % size("num_attention_heads"):
            raise ModelIntegrityError(
                f"{folder}/config.json: hidden_size {values['hidden_size']} cannot be shared among "
                f"num_attention_heads {values['num_attention_heads']}."
            )
        return cls(
            hidden_size=size("hidden_size"),
            inner_size=size("intermediate_size"),
            layers=size("num_hidden_layers"),
            heads=size("num_attention_heads"),
            vocabulary_size=size("vocab_size"),
            max_positions=size("max_position_embeddings"),
            token_types=size("type_vocab_size"),
            norm_epsilon=size("layer_norm_eps", (int, float)),
            pooling=_pooling(folder),
        )


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One transformer layer; q, k and v are fused into one (3H, H) product."""

    qkv_weight: torch.Tensor
    qkv_bias: torch.Tensor
    output_weight: torch.Tensor
    output_bias: torch.Tensor
    attention_norm_weight: torch.Tensor
    attention_norm_bias: torch.Tensor
    up_weight: torch.Tensor
    up_bias: torch.Tensor
    down_weight: torch.Tensor
    down_bias: torch.Tensor
    output_norm_weight: torch.Tensor
    output_norm_bias: torch.Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> LayerWeights:
        """Return a copy elsewhere or in another type."""
        return LayerWeights(
            **{field.name: getattr(self, field.name).to(device, dtype) for field in fields(self)}
        )


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """Embedding tables and layers.

    Args:
        words: (V, H).
        positions: (max_positions, H), the embedding of token type 0 added.
        norm_weight: (H,).
        norm_bias: (H,).
        layers: one per transformer layer.
        steps: what an adapter adds at the generated positions beside its low-rank updates.
    """

    words: torch.Tensor
    positions: torch.Tensor
    norm_weight: torch.Tensor
    norm_bias: torch.Tensor
    layers: tuple[LayerWeights, ...]
    steps: StepWeights = field(default_factory=lambda: StepWeights())

    def to(self, device: torch.device, dtype: torch.dtype) -> EncoderWeights:
        """Return a copy elsewhere or in another type."""
        return EncoderWeights(
            words=self.words.to(device, dtype),
            positions=self.positions.to(device, dtype),
            norm_weight=self.norm_weight.to(device, dtype),
            norm_bias=self.norm_bias.to(device, dtype),
            layers=tuple(layer.to(device, dtype) for layer in self.layers),
            steps=self.steps.to(device, dtype),
        )


@dataclass(frozen=True, slots=True)
class StepWeights:
    """What an adapter may add at the generated positions; every part is optional.

    Args:
        embeddings: (S, H), one added to each soft token; steps beyond S take the last.
        query: (H,), added to the soft tokens of queries as well, so that they may be refined
            otherwise than documents.
        readout: (H, H), applied to every soft token's state before it is pooled.
        tokens: (U,) int64 ids of the tokens that soft tokens are made of; None for all V.
        words: (U, H), their input embeddings.
        reading: what the generated positions read of the prompt after their last layer.
    """

    embeddings: torch.Tensor | None = None
    query: torch.Tensor | None = None
    readout: torch.Tensor | None = None
    tokens: torch.Tensor | None = None
    words: torch.Tensor | None = None
    reading: Reading | None = None

    def to(self, device: torch.device, dtype: torch.dtype) -> StepWeights:
        """Return a copy elsewhere or in another type; ids stay integers."""
        return StepWeights(
            embeddings=None if self.embeddings is None else self.embeddings.to(device, dtype),
            query=None if self.query is None else self.query.to(device, dtype),
            readout=None if self.readout is None else self.readout.to(device, dtype),
            tokens=None if self.tokens is None else self.tokens.to(device),
            words=None if self.words is None else self.words.to(device, dtype),
            reading=None if self.reading is None else self.reading.to(device, dtype),
        )


def load_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file into memory.

    Raises:
        ModelIntegrityError: it is missing, truncated or of another format.
    """
    try:
        return load_file(file)
    except FileNotFoundError as error:
        raise ModelIntegrityError(
            f"{file} is missing. Only safetensors weights are read; convert others with "
            "save_pretrained(..., safe_serialization=True)."
        ) from error
    except (SafetensorError, OSError) as error:
        raise ModelIntegrityError(f"{file} cannot be read: {error}. Fetch it again.") from error


def load_encoder(folder: Path, config: EncoderConfig) -> EncoderWeights:
    """Read a BERT encoder in float32.

    Raises:
        ModelIntegrityError: weights are missing or of an unexpected shape.
    """
    file = folder / "model.safetensors"
    tensors = load_tensors(file)
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""

    def take(name: str, *shape: int) -> torch.Tensor:
        tensor = tensors.get(prefix + name)
        if tensor is None or tensor.shape != shape:
            seen = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
            raise ModelIntegrityError(f"{file}: {name} is {seen}; expected shape {shape}.")
        return tensor.float()

    hidden = config.hidden_size
    types = take("embeddings.token_type_embeddings.weight", config.token_types, hidden)
    return EncoderWeights(
        words=take("embeddings.word_embeddings.weight", config.vocabulary_size, hidden),
        positions=take("embeddings.position_embeddings.weight", config.max_positions, hidden)
        + types[0],
        norm_weight=take("embeddings.LayerNorm.weight", hidden),
        norm_bias=take("embeddings.LayerNorm.bias", hidden),
        layers=tuple(
            _load_layer(f"encoder.layer.{index}.", config, take) for index in range(config.layers)
        ),
    )


def merge_adapter(
    weights: EncoderWeights, adapter: Mapping[str, torch.Tensor], *, origin: Path
) -> EncoderWeights:
    """Return weights with low-rank updates added: W + B A for each adapted linear map.

    Args:
        weights: the base.
        adapter: ``layers.{i}.{name}.lora_A`` (r, in) and ``.lora_B`` (out, r), names of
            ``ADAPTED``, with LoRA's alpha / r already multiplied into B; and, each optional, the
            tensors of ``STEP_TENSORS``; and all those of a ``Reading``, or none.
        origin: the adapter's file, for messages.

    Raises:
        ModelIntegrityError: a tensor has no counterpart, or does not fit.
    """
    layers = list(weights.layers)
    for name in sorted(set(adapter) - set(STEP_TENSORS)):
        if name.startswith(READING_PREFIX):
            continue
        stem = name.removesuffix(".lora_A").removesuffix(".lora_B")
        placed = re.fullmatch(r"layers\.([0-9]+)\.(\w+)", stem)
        pair = {f"{stem}.lora_A", f"{stem}.lora_B"}
        if placed is None or placed[2] not in ADAPTED or stem == name or not pair <= adapter.keys():
            raise ModelIntegrityError(
                f"{origin}: cannot place {name!r}; expected pairs "
                f"layers.N.NAME.lora_A and .lora_B with NAME in {sorted(ADAPTED)}, one of "
                f"{list(STEP_TENSORS)}, or {READING_PREFIX}NAME."
            )
        if name.endswith(".lora_B"):
            continue  # taken together with its lora_A
        index = int(placed[1])
        if index >= len(layers):
            raise ModelIntegrityError(f"{origin}: {name!r}, but the base has {len(layers)} layers.")
        down, up = adapter[name], adapter[f"{stem}.lora_B"]
        layers[index] = _updated(layers[index], placed[2], (down, up), origin)
    return EncoderWeights(
        words=weights.words,
        positions=weights.positions,
        norm_weight=weights.norm_weight,
        norm_bias=weights.norm_bias,
        layers=tuple(layers),
        steps=_step_weights(weights, adapter, origin),
    )


def _step_weights(
    weights: EncoderWeights, adapter: Mapping[str, torch.Tensor], origin: Path
) -> StepWeights:
    vocabulary, hidden = weights.words.shape
    embeddings, query, readout, tokens = (adapter.get(name) for name in STEP_TENSORS)
    if embeddings is not None and (
        embeddings.ndim != 2 or embeddings.shape[1] != hidden or not len(embeddings)
    ):
        raise ModelIntegrityError(
            f"{origin}: step_embeddings has shape {tuple(embeddings.shape)}; expected "
            f"(S, {hidden}), S at least 1."
        )
    if query is not None and query.shape != (hidden,):
        raise ModelIntegrityError(
            f"{origin}: query_embedding has shape {tuple(query.shape)}; expected ({hidden},)."
        )
    if readout is not None and readout.shape != (hidden, hidden):
        raise ModelIntegrityError(
            f"{origin}: readout has shape {tuple(readout.shape)}; expected ({hidden}, {hidden})."
        )
    added = StepWeights(
        _like(embeddings, weights),
        _like(query, weights),
        _like(readout, weights),
        reading=Reading.of(adapter, weights.words, origin=origin),
    )
    if tokens is None:
        return added
    inside = tokens.ndim == 1 and len(tokens) > 0 and not tokens.is_floating_point()
    if not inside or int(tokens.min()) < 0 or int(tokens.max()) >= vocabulary:
        raise ModelIntegrityError(
            f"{origin}: head_tokens must be a list of token ids from 0 to {vocabulary - 1}."
        )
    ids = tokens.to(weights.words.device, torch.int64)
    return replace(added, tokens=ids, words=weights.words[ids])


def _like(tensor: torch.Tensor | None, weights: EncoderWeights) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(weights.words)


def _updated(
    layer: LayerWeights, name: str, pair: tuple[torch.Tensor, torch.Tensor], origin: Path
) -> LayerWeights:
    field_name, third = ADAPTED[name]
    values = {field.name: getattr(layer, field.name) for field in fields(layer)}
    base = values[field_name]
    down, up = pair
    rows = base.shape[0] // 3 if third is not None else base.shape[0]
    rank = down.shape[0] if down.ndim else 0
    if tuple(down.shape) != (rank, base.shape[1]) or tuple(up.shape) != (rows, rank):
        raise ModelIntegrityError(
            f"{origin}: {name} has shapes {tuple(down.shape)} and {tuple(up.shape)}; the base has "
            f"({rows}, {base.shape[1]})."
        )
    update = up.to(base) @ down.to(base)  # (out, in)
    if third is None:
        values[field_name] = base + update
    else:
        parts = list(base.chunk(3, dim=0))
        parts[third] = parts[third] + update
        values[field_name] = torch.cat(parts, dim=0)
    return LayerWeights(**values)


def _load_layer(
    prefix: str, config: EncoderConfig, take: Callable[..., torch.Tensor]
) -> LayerWeights:
    hidden, inner = config.hidden_size, config.inner_size
    attention = f"{prefix}attention.self."
    names = ("query", "key", "value")
    return LayerWeights(
        qkv_weight=torch.cat([take(f"{attention}{name}.weight", hidden, hidden) for name in names]),
        qkv_bias=torch.cat([take(f"{attention}{name}.bias", hidden) for name in names]),
        output_weight=take(f"{prefix}attention.output.dense.weight", hidden, hidden),
        output_bias=take(f"{prefix}attention.output.dense.bias", hidden),
        attention_norm_weight=take(f"{prefix}attention.output.LayerNorm.weight", hidden),
        attention_norm_bias=take(f"{prefix}attention.output.LayerNorm.bias", hidden),
        up_weight=take(f"{prefix}intermediate.dense.weight", inner, hidden),
        up_bias=take(f"{prefix}intermediate.dense.bias", inner),
        down_weight=take(f"{prefix}output.dense.weight", hidden, inner),
        down_bias=take(f"{prefix}output.dense.bias", hidden),
        output_norm_weight=take(f"{prefix}output.LayerNorm.weight", hidden),
        output_norm_bias=take(f"{prefix}output.LayerNorm.bias", hidden),
    )


def _pooling(folder: Path) -> str:
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return "mean"
    values = read_json(file)
    modes = [name for name, on in values.items() if name.startswith("pooling_mode_") and on is True]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(modes) != 1 or modes[0] not in known:
        raise UnsupportedModelError(
            f"{file} asks for {modes}; supported is exactly one of {sorted(known)}."
        )
    return known[modes[0]]
