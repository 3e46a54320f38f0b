"""Any causal language model of transformers, with an optional PEFT adapter merged at load.

The head is computed for one position only, and never after the last step. Families differ in what
surrounds their embeddings and heads (Gemma scales, Gemma 2 caps, Granite and Cohere rescale), so
loading compares our short cuts with the model's own forward and refuses what would not be faithful.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from gircse_core.backbones.base import Prefix
from gircse_core.config import ModelConfig
from gircse_core.errors import ModelIntegrityError, UnsupportedModelError

__all__ = ["CausalBackbone", "CausalCache", "load_adapter"]

_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PROBE_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15, torch.float16: 0.05}


@dataclass(slots=True)
class CausalCache:
    """Keys and values of transformers, and what positions they belong to.

    Args:
        layers: transformers' own cache.
        mask: (B, T + steps so far) int64.
        next_position: (B,) position of the next soft token.
    """

    layers: DynamicCache
    mask: torch.Tensor
    next_position: torch.Tensor


class CausalBackbone:
    """A causal language model that writes soft tokens.

    Args:
        model: a model with a language-modelling head, in evaluation mode.
        config: its conventions.

    Raises:
        UnsupportedModelError: its embeddings or head do more than this class reproduces.
    """

    reads_running_embedding = False

    def __init__(self, model: PreTrainedModel, config: ModelConfig) -> None:
        self.model: Any = model
        self.config = config
        self._decoder: Any = model.base_model
        self._head: Any = model.get_output_embeddings()
        embeddings: Any = model.get_input_embeddings()
        if self._head is None or self._decoder is model:
            raise UnsupportedModelError(
                f"{type(model).__name__} has no separate language-modelling head; "
                "use a checkpoint for causal language modelling."
            )
        self._embeddings = embeddings
        sizes: Any = model.config.get_text_config()
        self._cap: float | None = getattr(sizes, "final_logit_softcapping", None)
        # Granite divides its logits by logits_scaling, Cohere multiplies them by logit_scale.
        self._scale = getattr(sizes, "logit_scale", 1.0) / getattr(sizes, "logits_scaling", 1.0)
        self._probe()

    @classmethod
    def load(
        cls,
        config: ModelConfig,
        base: Path,
        *,
        adapter: Path | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> CausalBackbone:
        """Read a checkpoint folder and merge a PEFT adapter folder into it.

        Raises:
            ModelIntegrityError: the weights are missing, not safetensors, or do not fit.
            UnsupportedModelError: the architecture cannot be run faithfully, or needs remote code.
        """
        _require_safetensors(base, "model*.safetensors")
        if adapter is not None:  # said before the base is read, which may take minutes
            _require_safetensors(adapter, _ADAPTER_WEIGHTS)
        try:
            model, report = AutoModelForCausalLM.from_pretrained(
                base,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
            )
        # ImportError: quantised weights are read by packages of their own
        except (ValueError, KeyError, TypeError, ImportError, StrictDataclassError) as error:
            raise UnsupportedModelError(
                f"transformers cannot load {base} as a causal language model: {error}"
            ) from error
        except (OSError, SafetensorError) as error:
            raise ModelIntegrityError(f"{base} cannot be read: {error}") from error
        if report["missing_keys"]:
            # transformers would go on with random weights in their place.
            missing = sorted(report["missing_keys"])
            raise ModelIntegrityError(
                f"{base} lacks {len(missing)} of the model's weights, such as {missing[0]!r}. "
                "Fetch it again."
            )
        if report["mismatched_keys"]:
            name, stored, expected = min(report["mismatched_keys"])
            raise ModelIntegrityError(
                f"{base} holds {name!r} in the shape {tuple(stored)}, but by its config.json it is "
                f"{tuple(expected)}. Fetch it again."
            )
        if adapter is not None:
            model = _merge(model, adapter)
        return cls(model.to(device).eval(), config)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._embeddings.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights."""
        return self._embeddings.weight.dtype

    @property
    def hidden_size(self) -> int:
        """H, which is the embedding width D."""
        return int(self._embeddings.weight.shape[1])

    @property
    def head_tokens(self) -> None:
        """Soft tokens are made of the whole vocabulary."""
        return None

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return int(self._embeddings.weight.shape[0])

    def prefill(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Prefix[CausalCache]:
        """Read (B, T) prompts once, causally."""
        # Counted over tokens: absolute positions (GPT-2) must not depend on padding; rotary models
        # see differences only, so this equals the published 0..T-1 over the padded row.
        positions = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)  # (B, T)
        cache = DynamicCache(config=self.model.config)
        hidden = self._decoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=positions,
            cache=cache,
            use_cache=True,
        ).last_hidden_state  # (B, T, H)
        last = _last_token(attention_mask)
        readout = hidden[torch.arange(len(hidden), device=hidden.device), last]  # (B, H)
        lengths = attention_mask.sum(dim=1)
        kept = CausalCache(cache, attention_mask, next_position=lengths)
        return Prefix(readout=readout, pooled=None, cache=kept)

    def distribution(self, prefix: Prefix[CausalCache], readout: torch.Tensor) -> torch.Tensor:
        """Return (B, V) probabilities of the next soft token, from the latest (B, H) state."""
        logits = self._logits(readout.to(self.dtype)).float()
        return (logits / self.config.softmax_temperature).softmax(dim=-1)

    def soft_embedding(self, distribution: torch.Tensor) -> torch.Tensor:
        """Return (B, H): the probability-weighted mean of the input embeddings."""
        weight = self._embeddings.weight
        # The head may be padded beyond the embedding table, or the table beyond the head.
        width = min(weight.shape[0], distribution.shape[1])
        mean = distribution[:, :width].to(weight.dtype) @ weight[:width]
        scale = getattr(self._embeddings, "embed_scale", None)
        return mean if scale is None else mean * torch.as_tensor(scale).to(mean)

    def step(self, prefix: Prefix[CausalCache], soft_token: torch.Tensor) -> torch.Tensor:
        """Append a (B, H) soft token and return its (B, H) last-layer, post-norm state."""
        cache = prefix.cache
        cache.mask = torch.cat([cache.mask, torch.ones_like(cache.mask[:, :1])], dim=1)
        hidden = self._decoder(
            inputs_embeds=soft_token[:, None],
            attention_mask=cache.mask,
            position_ids=cache.next_position[:, None],
            cache=cache.layers,
            use_cache=True,
        ).last_hidden_state  # (B, 1, H)
        cache.next_position = cache.next_position + 1
        return hidden[:, -1]

    def naive_states(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, soft_tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return (B, k, H) states of soft tokens from one pass over the whole sequence."""
        count = soft_tokens.shape[1]
        ones = torch.ones_like(attention_mask[:, :1]).expand(-1, count)
        mask = torch.cat([attention_mask, ones], dim=1)
        hidden = self._decoder(
            inputs_embeds=torch.cat([self._embeddings(input_ids), soft_tokens], dim=1),
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
            use_cache=False,
        ).last_hidden_state
        return hidden[:, -count:]

    def _logits(self, state: torch.Tensor) -> torch.Tensor:
        logits = self._head(state) * self._scale
        if self._cap is not None:
            logits = torch.tanh(logits / self._cap) * self._cap
        return logits

    @torch.no_grad()
    def _probe(self) -> None:
        """Compare our head, embedding and cache with the model's own on one short prompt.

        A model that does not know an argument, such as the cache, may ignore it without a word.

        Raises:
            UnsupportedModelError: they differ.
        """
        tokens = torch.tensor([[1, 2, 3]], device=self.device) % self.vocabulary_size
        mask = torch.ones_like(tokens)
        embedded = self._embeddings(tokens)  # (1, 3, H)
        one_hot = torch.nn.functional.one_hot(tokens[0], self.vocabulary_size)
        prefix = self.prefill(tokens, mask)
        checks = {
            "head": (
                self.model(input_ids=tokens, attention_mask=mask).logits[:, -1],
                self._logits(prefix.readout),
            ),
            "input embedding": (embedded[0], self.soft_embedding(one_hot.float())),
            "cache": (
                self.naive_states(tokens, mask, embedded[:, :1])[:, -1],
                self.step(prefix, embedded[:, 0]),
            ),
        }
        for part, (expected, seen) in checks.items():
            spread = float(expected.abs().max()) or 1.0
            error = float((expected.float() - seen.float()).abs().max()) / spread
            if not error <= _PROBE_TOLERANCE.get(self.dtype, 0.15):
                raise UnsupportedModelError(
                    f"The {part} of {type(self.model).__name__} does not work as expected "
                    f"(relative difference {error:.3g}); soft tokens would be wrong. `pip check` "
                    "says whether transformers is a version that gircse-search can use; if it is, "
                    "please report the architecture."
                )


def load_adapter(model: PreTrainedModel, adapter: Path, *, is_trainable: bool = False) -> Any:  # noqa: ANN401 - peft is imported late
    """Return a model in peft's wrapper, with the adapter of a PEFT folder.

    Args:
        model: its base.
        adapter: the folder.
        is_trainable: whether its weights ask for gradients.

    Raises:
        ModelIntegrityError: its weights are missing, not safetensors, or do not fit the base.
    """
    from peft import PeftModel

    # Where there is no such file, peft would look for a pickle, and then on a hub.
    _require_safetensors(adapter, _ADAPTER_WEIGHTS)
    try:
        with warnings.catch_warnings():
            # To peft a missing weight is worth a warning; it would be left at random.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            return PeftModel.from_pretrained(
                model, str(adapter), is_trainable=is_trainable, local_files_only=True
            )
    except (ValueError, RuntimeError, KeyError, TypeError, SafetensorError, UserWarning) as error:
        raise _does_not_fit(adapter, error) from error


def _merge(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    loaded = load_adapter(model, adapter)
    if not hasattr(loaded, "merge_and_unload"):
        raise UnsupportedModelError(
            f"The adapter {adapter} is of a kind that cannot be merged into its base "
            f"({loaded.active_peft_config.peft_type.value}); use one of low-rank updates (LoRA)."
        )
    try:
        merged: PreTrainedModel = loaded.merge_and_unload(safe_merge=True)
    except ValueError as error:  # its weights are no numbers
        raise _does_not_fit(adapter, error) from error
    return merged


def _does_not_fit(adapter: Path, error: Exception) -> ModelIntegrityError:
    return ModelIntegrityError(f"The adapter {adapter} does not fit its base model: {error}")


def _require_safetensors(folder: Path, pattern: str) -> None:
    if not any(folder.glob(pattern)):
        raise ModelIntegrityError(
            f"{folder} holds no {pattern}. Only safetensors weights are read; convert others with "
            "save_pretrained(..., safe_serialization=True)."
        )


def _last_token(attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the (B,) index of the last real token, whichever side the padding is on."""
    length = attention_mask.shape[1]
    return length - 1 - attention_mask.flip(dims=[1]).argmax(dim=1)
