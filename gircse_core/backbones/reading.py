"""What a generated position of a prefix encoder reads of its prompt, after its last layer.

A mean over all tokens weighs a stop word like a name, and no step of a small network learns to
undo that. So a soft token's last-layer state attends to the prompt once more: to the states of the
last layer, and to codes of the words (their input embeddings, or codes learned of a collection).
Where it looks is decided by how rare each token is, by what the token's state says of its weight
(salience), and by what the soft token asks for. What was read is mapped and added to the state that
is pooled; documents shorter than a given length take it in proportion, as a short text is hardly
diluted.

Beyond the paper. Close to it: weighting by rarity in Arora et al., "A Simple but Tough-to-Beat
Baseline for Sentence Embeddings", ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch.nn import functional

from gircse_core.errors import ModelIntegrityError

__all__ = ["FIXED_READING", "READING_PREFIX", "PromptReading", "Reading"]

READING_PREFIX = "reading."
"""Of the names of these tensors in an adapter file."""

FIXED_READING = frozenset(
    f"{READING_PREFIX}{name}" for name in ("rarity", "centre", "length", "tokens", "codes")
)
"""Tensors that are computed from texts, not trained."""

_LEAST_WEIGHT = 1e-3  # of tokens that are everywhere: a text may hold nothing else


@dataclass(frozen=True, slots=True)
class PromptReading:
    """A batch of prompts as it is read.

    Args:
        states: (B, T, H) of the prompt's last layer.
        codes: (B, T, H) of its words.
        scores: (2, B, T) attention before anything is asked, minus infinity at padding; first for
            states, then for words.
        share: (B, 1) how much of what is read counts.
    """

    states: torch.Tensor
    codes: torch.Tensor
    scores: torch.Tensor
    share: torch.Tensor


@dataclass(frozen=True, slots=True)
class Reading:
    """The weights.

    Args:
        rarity: (V,) at least 0: how much a token tells a text apart; 0 for special tokens.
        centre: (H,) mean unit vector of texts, taken off what is read of the states.
        offset: (H,) added to every state, whatever is read.
        sharpness: (2,) power of the rarity in both attentions.
        salience: (2, H) how much a token's state adds to its own scores.
        query: (2, H, H) from a soft token's state to what it looks for.
        states: (H, H) map of the unit vector read of the states.
        words: (H, H) map of the unit vector read of the words.
        length: () tokens from which on a document takes what is read in full; 0 for all in full.
        shared: (H,) mean input embedding by rarity, taken off the words' own.
        rows: (V,) int64 row of each token in ``codes``; None where input embeddings are the codes.
        codes: (1 + U, H) codes of words, the first of them zero; None likewise.
    """

    rarity: torch.Tensor
    centre: torch.Tensor
    offset: torch.Tensor
    sharpness: torch.Tensor
    salience: torch.Tensor
    query: torch.Tensor
    states: torch.Tensor
    words: torch.Tensor
    length: torch.Tensor
    shared: torch.Tensor
    rows: torch.Tensor | None = None
    codes: torch.Tensor | None = None

    @classmethod
    def of(
        cls, adapter: Mapping[str, torch.Tensor], words: torch.Tensor, *, origin: Path
    ) -> Reading | None:
        """Return the weights that an adapter holds; None where it holds none.

        Args:
            adapter: tensors by name; those of others are passed over.
            words: (V, H) input embeddings, whose device and type are taken.
            origin: the adapter's file, for messages.

        Raises:
            ModelIntegrityError: a tensor is missing, unknown or does not fit.
        """
        held = {
            name.removeprefix(READING_PREFIX): tensor
            for name, tensor in adapter.items()
            if name.startswith(READING_PREFIX)
        }
        if not held:
            return None
        tokens, codes = held.pop("tokens", None), held.get("codes")
        vocabulary, hidden = words.shape
        shapes: dict[str, tuple[int, ...]] = {
            "rarity": (vocabulary,),
            "centre": (hidden,),
            "offset": (hidden,),
            "sharpness": (2,),
            "salience": (2, hidden),
            "query": (2, hidden, hidden),
            "states": (hidden, hidden),
            "words": (hidden, hidden),
            "length": (),
        }
        if codes is not None or tokens is not None:
            _check_tokens(tokens, vocabulary, origin)
            assert tokens is not None
            shapes["codes"] = (len(tokens), hidden)
        _check_shapes(held, shapes, origin)
        placed = {name: tensor.to(words) for name, tensor in held.items()}
        rarity = placed["rarity"].float()
        shared = (rarity @ words.float()) / rarity.sum().clamp(min=1e-9)
        reading = cls(**placed, shared=shared.to(words))
        if tokens is None:
            return reading
        rows = torch.zeros(vocabulary, dtype=torch.int64)
        rows[tokens.cpu().to(torch.int64)] = torch.arange(1, len(tokens) + 1)
        return replace(
            reading,
            rows=rows.to(words.device),
            codes=functional.pad(placed["codes"], (0, 0, 1, 0)),
        )

    def for_queries(self) -> Reading:
        """Return the weights as queries are read: always in full, however short they are."""
        return replace(self, length=torch.zeros_like(self.length))

    def to(self, device: torch.device, dtype: torch.dtype) -> Reading:
        """Return a copy elsewhere or in another type; row numbers stay integers."""
        kept = {"rows": None if self.rows is None else self.rows.to(device)}
        moved = {
            field.name: value.to(device, dtype)
            for field in fields(self)
            if field.name not in kept and (value := getattr(self, field.name)) is not None
        }
        return Reading(**(moved | kept))

    def prepare(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        states: torch.Tensor,
        words: torch.Tensor,
    ) -> PromptReading:
        """Return what does not depend on the soft tokens, for (B, T) prompts.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T) int64.
            states: (B, T, H) of the last layer.
            words: (V, H) input embeddings.
        """
        rarity = torch.log(self.rarity[input_ids].float() + _LEAST_WEIGHT)  # (B, T)
        scores = self.sharpness.float()[:, None, None] * rarity  # (2, B, T)
        scores = scores + (states @ self.salience.T).float().permute(2, 0, 1)
        # A word that is repeated says more, but less and less.
        again = (input_ids[:, :, None] == input_ids[:, None]) & attention_mask[:, None].bool()
        damped = torch.log1p(again.sum(dim=2).float())  # (B, T)
        scores = torch.stack([scores[0], scores[1] - damped])
        scores = scores.masked_fill(attention_mask[None] == 0, float("-inf"))
        lengths = attention_mask.sum(dim=1, keepdim=True)  # (B, 1)
        share = torch.ones_like(lengths, dtype=torch.float32)
        if float(self.length):
            share = (lengths / self.length.float()).clamp(max=1.0)
        return PromptReading(states, self._codes(input_ids, words), scores, share)

    def read(self, prompt: PromptReading, state: torch.Tensor) -> torch.Tensor:
        """Return the (B, H) that a soft token's (B, H) last-layer state reads."""
        asked = state @ self.query.transpose(1, 2)  # (2, B, H)
        wanted = (asked[:, :, None] @ prompt.states.transpose(1, 2))[:, :, 0]  # (2, B, T)
        scores = prompt.scores + wanted.float() * state.shape[-1] ** -0.5
        weights = scores.softmax(dim=-1).to(state.dtype)[:, :, None]  # (2, B, 1, T)
        seen = functional.normalize((weights[0] @ prompt.states)[:, 0].float(), dim=-1)  # (B, H)
        named = functional.normalize((weights[1] @ prompt.codes)[:, 0].float(), dim=-1)
        seen = (seen - self.centre.float()).to(state.dtype)
        read = seen @ self.states.T + named.to(state.dtype) @ self.words.T
        return prompt.share.to(state.dtype) * read + self.offset

    def _codes(self, input_ids: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        if self.codes is not None and self.rows is not None:
            return self.codes[self.rows[input_ids]]
        return functional.normalize(words[input_ids] - self.shared, dim=-1)


def _check_tokens(tokens: torch.Tensor | None, vocabulary: int, origin: Path) -> None:
    inside = (
        tokens is not None
        and tokens.ndim == 1
        and not tokens.is_floating_point()
        and len(tokens) > 0
        and int(tokens.min()) >= 0
        and int(tokens.max()) < vocabulary
    )
    if not inside:
        raise ModelIntegrityError(
            f"{origin}: {READING_PREFIX}tokens must be a list of token ids from 0 to "
            f"{vocabulary - 1}, one for each row of {READING_PREFIX}codes."
        )


def _check_shapes(
    held: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]], origin: Path
) -> None:
    for name in sorted(set(held) | set(shapes)):
        tensor = held.get(name)
        if name not in shapes or tensor is None or tuple(tensor.shape) != shapes[name]:
            seen = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
            wanted = f"expected {shapes[name]}" if name in shapes else "there is no such tensor"
            raise ModelIntegrityError(f"{origin}: {READING_PREFIX}{name} is {seen}; {wanted}.")
