"""A BERT encoder run as a prefix language model.

The prompt is read once, bidirectionally, and its keys and values are kept; soft tokens attend to
them and to each other causally. K = 0 is the encoder's own pooled vector, exactly. An adapter
changes the generated positions only, so the prompt path stays the base encoder's. Queries may be
refined otherwise than documents (``for_queries``); what both are refined from is one reading.

Soft tokens are read from the running embedding through the tied input embeddings: read from a raw
soft-token state instead, training drives the head to one constant token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch.nn import functional

from gircse_core.backbones.base import Prefix
from gircse_core.backbones.encoder_weights import (
    EncoderConfig,
    EncoderWeights,
    LayerWeights,
    load_encoder,
    load_tensors,
    merge_adapter,
)
from gircse_core.backbones.reading import PromptReading
from gircse_core.config import CONFIG_FILE, ModelConfig
from gircse_core.errors import ModelIntegrityError

__all__ = ["EncoderCache", "PrefixEncoder"]

# A word counts as said once it has held this share of one soft token.
_SAID_SHARE = 1e-2


@dataclass(slots=True)
class EncoderCache:
    """Keys and values of one batch, prompt and soft tokens apart: the prompt's are never copied.

    Args:
        mask: (B, 1, 1, T) bool, True for prompt tokens; None when nothing is padded.
        lengths: (B,) tokens per prompt.
        prompt: per layer (k, v), each (B, heads, T, H / heads).
        tokens: (B, T) int64 ids and mask, for what is read after the last layer.
        generated: per layer (k, v), each (B, heads, steps so far, H / heads).
        said: (B, U) sum of the soft tokens' distributions; None before the first.
        reading: the prompt as it is read then; made by the first step that needs it.
    """

    mask: torch.Tensor | None
    lengths: torch.Tensor
    prompt: list[tuple[torch.Tensor, torch.Tensor]]
    tokens: tuple[torch.Tensor, torch.Tensor]
    generated: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    said: torch.Tensor | None = None
    reading: PromptReading | None = None

    @property
    def steps(self) -> int:
        """How many soft tokens have been written."""
        return self.generated[0][0].shape[2] if self.generated else 0


class PrefixEncoder:
    """The backbone of the small default model.

    Args:
        config: its conventions.
        sizes: the encoder's sizes.
        prompt: weights of the prompt path.
        steps: weights of the generated positions; the same object where there is no adapter.
    """

    reads_running_embedding = True

    def __init__(
        self,
        config: ModelConfig,
        sizes: EncoderConfig,
        *,
        prompt: EncoderWeights,
        steps: EncoderWeights,
    ) -> None:
        self.config = config
        self.sizes = sizes
        self.prompt_weights = prompt
        self.step_weights = steps

    @classmethod
    def load(
        cls,
        config: ModelConfig,
        base: Path,
        *,
        adapter: Path | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> PrefixEncoder:
        """Read an encoder folder and, where there is one, an adapter file merged into its copy.

        Raises:
            ModelIntegrityError: files are missing, altered or do not fit each other.
            UnsupportedModelError: the folder holds no BERT encoder.
        """
        sizes = EncoderConfig.load(base)
        if config.max_length + config.max_steps > sizes.max_positions:
            raise ModelIntegrityError(
                f"max_length {config.max_length} and {config.max_steps} steps need more positions "
                f"than the {sizes.max_positions} of {base}. Lower max_length in {CONFIG_FILE}."
            )
        prompt = load_encoder(base, sizes)
        steps = prompt
        if adapter is not None:
            steps = merge_adapter(prompt, load_tensors(adapter), origin=adapter)
        return cls(config, sizes, prompt=prompt, steps=steps).to(device, dtype)

    @classmethod
    def adapted(cls, base: PrefixEncoder, adapter: Mapping[str, torch.Tensor]) -> PrefixEncoder:
        """Return ``base`` with adapter tensors merged into its generated positions.

        Gradients flow into the adapter's tensors.
        """
        steps = merge_adapter(base.prompt_weights, adapter, origin=Path("adapter in memory"))
        return cls(base.config, base.sizes, prompt=base.prompt_weights, steps=steps)

    def to(self, device: torch.device, dtype: torch.dtype) -> PrefixEncoder:
        """Return a copy elsewhere or in another type."""
        prompt = self.prompt_weights.to(device, dtype)
        shared = self.step_weights is self.prompt_weights
        steps = prompt if shared else self.step_weights.to(device, dtype)
        return PrefixEncoder(self.config, self.sizes, prompt=prompt, steps=steps)

    def for_queries(self) -> PrefixEncoder:
        """Return the model as queries run through it; the weights are shared, not copied."""
        added = self.step_weights.steps
        if added.query is None and added.reading is None:
            return self
        table, reading = added.embeddings, added.reading
        if added.query is not None:
            alone = torch.zeros_like(added.query)[None]  # (1, H)
            table = (alone if table is None else table) + added.query
        if reading is not None:
            reading = reading.for_queries()
        steps = replace(self.step_weights, steps=replace(added, embeddings=table, reading=reading))
        return PrefixEncoder(self.config, self.sizes, prompt=self.prompt_weights, steps=steps)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.prompt_weights.words.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights."""
        return self.prompt_weights.words.dtype

    @property
    def hidden_size(self) -> int:
        """H, which is the embedding width D."""
        return self.sizes.hidden_size

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.sizes.vocabulary_size

    @property
    def head_tokens(self) -> torch.Tensor | None:
        """(U,) ids of the tokens that soft tokens are made of; None for all."""
        return self.step_weights.steps.tokens

    @property
    def _head_words(self) -> torch.Tensor:
        """(U, H) input embeddings of these tokens."""
        chosen = self.step_weights.steps.words
        return self.step_weights.words if chosen is None else chosen

    def prefill(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> Prefix[EncoderCache]:
        """Read (B, T) prompts once, bidirectionally."""
        weights = self.prompt_weights
        # Counted over tokens, so that the side of the padding does not matter.
        positions = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)  # (B, T)
        hidden = self._embed(weights, weights.words[input_ids], weights.positions[positions])
        padded = bool((attention_mask == 0).any())
        mask = attention_mask[:, None, None, :].bool() if padded else None  # (B, 1, 1, T)
        tokens = (input_ids, attention_mask)
        cache = EncoderCache(mask, attention_mask.sum(dim=1), [], tokens)
        for layer in weights.layers:
            query, key, value = self._heads(_fused(layer, hidden))
            cache.prompt.append((key, value))
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            hidden = self._finish(layer, hidden, mixed.transpose(1, 2).flatten(2))  # (B, T, H)
        pooled = self._pool(hidden, attention_mask)
        return Prefix(readout=pooled, pooled=pooled, cache=cache, states=hidden)

    def distribution(self, prefix: Prefix[EncoderCache], readout: torch.Tensor) -> torch.Tensor:
        """Return (B, U) probabilities of the next soft token, from a (B, H) running embedding."""
        words = self._head_words
        logits = self.config.logit_scale * (readout.to(words.dtype) @ words.T).float()  # (B, U)
        said = prefix.cache.said
        if said is not None and self.config.coverage:
            logits = logits - self.config.coverage * torch.log1p(said / _SAID_SHARE)
        distribution = (logits / self.config.softmax_temperature).softmax(dim=-1)
        prefix.cache.said = distribution if said is None else said + distribution
        return distribution

    def soft_embedding(self, distribution: torch.Tensor) -> torch.Tensor:
        """Return (B, H): the probability-weighted mean of the word embeddings."""
        words = self._head_words
        return distribution.to(words.dtype) @ words

    def step(self, prefix: Prefix[EncoderCache], soft_token: torch.Tensor) -> torch.Tensor:
        """Append a (B, H) soft token and return its (B, H) last-layer state."""
        weights, cache = self.step_weights, prefix.cache
        soft_token = soft_token + self._step_embedding(cache.steps)
        position = weights.positions[cache.lengths + cache.steps]  # (B, H)
        hidden = self._embed(weights, soft_token, position)[:, None]  # (B, 1, H)
        first = not cache.generated
        for index, layer in enumerate(weights.layers):
            query, key, value = self._heads(_fused(layer, hidden))
            if first:
                cache.generated.append((key, value))
            else:
                keys, values = cache.generated[index]
                key, value = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
                cache.generated[index] = (key, value)
            mixed = _attend(query, cache.prompt[index], (key, value), cache.mask)
            hidden = self._finish(layer, hidden, mixed.transpose(1, 2).flatten(2))
        if first:
            assert prefix.states is not None
            cache.reading = self._prepare_reading(*cache.tokens, prefix.states)
        return self._read_out(hidden[:, 0], cache.reading)

    def naive_states(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, soft_tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return (B, k, H) states of soft tokens from one pass over the whole masked sequence."""
        prompt, steps = self.prompt_weights, self.step_weights
        count, length = soft_tokens.shape[1], input_ids.shape[1]
        positions = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
        later = attention_mask.sum(dim=1, keepdim=True) + torch.arange(count, device=self.device)
        soft_tokens = torch.stack(
            [token + self._step_embedding(at) for at, token in enumerate(soft_tokens.unbind(1))], 1
        )
        hidden = torch.cat(
            [
                self._embed(prompt, prompt.words[input_ids], prompt.positions[positions]),
                self._embed(steps, soft_tokens, steps.positions[later]),
            ],
            dim=1,
        )  # (B, T + k, H)
        mask = _prefix_mask(attention_mask, count)  # (B, 1, T + k, T + k)
        for read, written in zip(prompt.layers, steps.layers, strict=True):
            fused = torch.cat(
                [
                    _fused(read, hidden[:, :length]),
                    _fused(written, hidden[:, length:]),
                ],
                dim=1,
            )
            query, key, value = self._heads(fused)
            scores = query @ key.transpose(2, 3) / key.shape[-1] ** 0.5
            weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
            mixed = (weights @ value).transpose(1, 2).flatten(2)
            hidden = torch.cat(
                [
                    self._finish(read, hidden[:, :length], mixed[:, :length]),
                    self._finish(written, hidden[:, length:], mixed[:, length:]),
                ],
                dim=1,
            )
        reading = self._prepare_reading(input_ids, attention_mask, hidden[:, :length])
        states = [self._read_out(state, reading) for state in hidden[:, length:].unbind(dim=1)]
        return torch.stack(states, dim=1)

    def _step_embedding(self, step: int) -> torch.Tensor | float:
        """Return the (H,) that is added to the soft token at a position, counted from 0."""
        table = self.step_weights.steps.embeddings
        return 0.0 if table is None else table[min(step, len(table) - 1)]

    def _prepare_reading(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, states: torch.Tensor
    ) -> PromptReading | None:
        reading = self.step_weights.steps.reading
        if reading is None:
            return None
        return reading.prepare(input_ids, attention_mask, states, self.prompt_weights.words)

    def _read_out(self, hidden: torch.Tensor, prompt: PromptReading | None) -> torch.Tensor:
        """Return (B, H) states as they are pooled, from last-layer states."""
        readout, reading = self.step_weights.steps.readout, self.step_weights.steps.reading
        state = hidden if readout is None else functional.linear(hidden, readout)
        if reading is None or prompt is None:
            return state
        return state + reading.read(prompt, hidden)

    def _embed(
        self, weights: EncoderWeights, words: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        return self._norm(words + positions, weights.norm_weight, weights.norm_bias)

    def _norm(self, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        shape = (self.sizes.hidden_size,)
        return functional.layer_norm(hidden, shape, weight, bias, self.sizes.norm_epsilon)

    def _heads(self, fused: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        batch, length, _ = fused.shape
        split = fused.view(batch, length, 3, self.sizes.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)  # each (B, heads, T, H / heads)
        return query, key, value

    def _finish(
        self, layer: LayerWeights, hidden: torch.Tensor, mixed: torch.Tensor
    ) -> torch.Tensor:
        """Output projection, feed-forward and both residual norms of one layer."""
        attended = functional.linear(mixed, layer.output_weight, layer.output_bias) + hidden
        hidden = self._norm(attended, layer.attention_norm_weight, layer.attention_norm_bias)
        inner = functional.gelu(functional.linear(hidden, layer.up_weight, layer.up_bias))
        outer = functional.linear(inner, layer.down_weight, layer.down_bias) + hidden
        return self._norm(outer, layer.output_norm_weight, layer.output_norm_bias)

    def _pool(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the encoder's own (B, H) vector in float32, not normalised."""
        mask = attention_mask[..., None].float()  # (B, T, 1)
        if self.sizes.pooling == "cls":
            first = attention_mask.argmax(dim=1)  # left padding moves [CLS]
            return hidden[torch.arange(len(hidden), device=self.device), first].float()
        return (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1)


def _fused(layer: LayerWeights, hidden: torch.Tensor) -> torch.Tensor:
    """Return (B, T, 3H): queries, keys and values from one product."""
    return functional.linear(hidden, layer.qkv_weight, layer.qkv_bias)


def _attend(
    query: torch.Tensor,
    prompt: tuple[torch.Tensor, torch.Tensor],
    generated: tuple[torch.Tensor, torch.Tensor],
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Attention of one position over prompt and soft tokens, which lie in separate tensors.

    One softmax over both: (B, heads, 1, H / heads) out.
    """
    scale = query.shape[-1] ** -0.5
    to_prompt = (query @ prompt[0].transpose(2, 3)) * scale  # (B, heads, 1, T)
    to_generated = (query @ generated[0].transpose(2, 3)) * scale  # (B, heads, 1, k)
    if mask is not None:
        to_prompt = to_prompt.masked_fill(~mask, float("-inf"))
    weights = torch.cat([to_prompt, to_generated], dim=-1).softmax(dim=-1)
    length = to_prompt.shape[-1]
    return weights[..., :length] @ prompt[1] + weights[..., length:] @ generated[1]


def _prefix_mask(attention_mask: torch.Tensor, count: int) -> torch.Tensor:
    """Return the (B, 1, T + k, T + k) mask: prompts see prompts, soft tokens all before them."""
    batch, length = attention_mask.shape
    mask = torch.zeros(batch, 1, length + count, length + count, dtype=torch.bool)
    mask = mask.to(attention_mask.device)
    mask[..., :length] = attention_mask[:, None, None, :].bool()
    mask[:, :, length:, length:] = torch.ones(count, count, dtype=torch.bool).tril()
    return mask
