"""What the same weights give in a single pass, without soft tokens: the usual ways to pool.

Comparing with them says what the soft tokens add. A model's adapter stays merged where it acts on
the prompt (causal models); the prompt path of an encoder is the base encoder's.

Sources: mean and last token as in Wang et al., ACL 2024 (arXiv:2401.00368); the prompts as in
Jiang et al., EMNLP 2022 (arXiv:2201.04337, masked) and Findings of EMNLP 2024 (arXiv:2307.16645,
one word).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn import functional

from gircse_core.embedder import BatchTiming, GircseEmbedder, Refinement
from gircse_core.errors import InputError, StepCountError, UnsupportedModelError
from gircse_core.prompts import document_prompt, query_prompt
from gircse_core.tokenization import TokenBatch

__all__ = ["SinglePassEmbedder", "SinglePassPooling"]

SinglePassPooling = Literal["mean", "last", "prompt"]

_BEFORE = 'This sentence : "'
_AFTER_CAUSAL = '" means in one word:"'
_AFTER_MASKED = '" means [MASK] .'


@dataclass(frozen=True, slots=True)
class _SinglePassInfo:
    """What is known of the baseline: the model's facts, with step 0 alone."""

    name: str
    dim: int
    tokenizer_file: Path
    facts: dict[str, str]
    min_steps: int = 0
    max_steps: int = 0
    default_steps: int = 0

    def fingerprint(self) -> dict[str, str]:
        """Return what decides the vectors."""
        return self.facts


class SinglePassEmbedder:
    """Embeds by one forward pass through the backbone of a loaded model, at step 0 alone.

    Args:
        embedder: the model; its weights are shared.
        pooling: ``mean`` over the tokens, the ``last`` token ([SEP] of an encoder), or the state
            that a ``prompt`` for the meaning in one word ends in ([MASK] of an encoder).

    Raises:
        InputError: there is no such pooling.
        UnsupportedModelError: the prompt needs a mask token, and the encoder has none.
    """

    def __init__(self, embedder: GircseEmbedder, pooling: SinglePassPooling) -> None:
        if pooling not in ("mean", "last", "prompt"):
            raise InputError(f"No pooling {pooling!r}; choose from mean, last, prompt.")
        self._embedder = embedder
        self._pooling = pooling
        self._is_causal = embedder.config.family == "causal"
        self._prompt = _Prompt(embedder) if pooling == "prompt" else None
        self.info = _SinglePassInfo(
            name=f"{embedder.info.name} ({pooling})",
            dim=embedder.dim,
            tokenizer_file=embedder.info.tokenizer_file,
            facts=embedder.info.fingerprint() | {"single_pass": pooling},
        )

    @property
    def fingerprint(self) -> dict[str, str]:
        """What decides the vectors."""
        return self._embedder.fingerprint | self.info.fingerprint()

    @property
    def truncated(self) -> int:
        """How many texts have been cut at the model's limit so far."""
        return self._embedder.truncated + (self._prompt.truncated if self._prompt else 0)

    def embed_queries(self, texts: Sequence[str], steps: int | None = None) -> NDArray[np.float32]:
        """Return (N, D) unit vectors of queries, in input order."""
        return self.embed_queries_at(texts, [steps or 0])[0]

    def embed_documents(
        self, texts: Sequence[str], steps: int | None = None
    ) -> NDArray[np.float32]:
        """Return (N, D) unit vectors of documents, in input order."""
        return self.embed_documents_at(texts, [steps or 0])[0]

    def embed_queries_at(
        self,
        texts: Sequence[str],
        steps: Sequence[int],
        *,
        on_batch: Callable[[BatchTiming], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return (1, N, D) unit vectors of queries.

        Raises:
            StepCountError: other steps than 0 are asked for.
        """
        config = self._embedder.config
        return self._embed([query_prompt(config, text) for text in texts], texts, steps, on_batch)

    def embed_documents_at(
        self,
        texts: Sequence[str],
        steps: Sequence[int],
        *,
        on_batch: Callable[[BatchTiming], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return (1, N, D) unit vectors of documents; otherwise like ``embed_queries_at``."""
        config = self._embedder.config
        prompts = [document_prompt(config, text) for text in texts]
        return self._embed(prompts, texts, steps, on_batch)

    def refine(self, text: str, max_steps: int) -> Iterator[Refinement]:
        """Yield a query's vector at step 0, with its time."""
        started = time.perf_counter()
        vector = self.embed_queries_at([text], [max_steps])[0, 0]
        yield Refinement(0, vector, time.perf_counter() - started)

    def _embed(
        self,
        prompts: Sequence[str],
        texts: Sequence[str],
        steps: Sequence[int],
        on_batch: Callable[[BatchTiming], None] | None,
    ) -> NDArray[np.float32]:
        if list(steps) != [0]:
            raise StepCountError(f"{self.info.name} is a single pass: it has 0 steps only.")
        vectors = np.empty((1, len(texts), self.info.dim), dtype=np.float32)  # (1, N, D)
        tokenizer = self._embedder.tokenizer
        # The prompt's own words take the place of the instruction.
        rows = self._prompt.encode(texts) if self._prompt else tokenizer.encode(prompts)
        for batch in tokenizer.batches(rows, max_tokens=self._embedder.batch_tokens):
            started = time.perf_counter()
            with torch.inference_mode():
                vectors[0, batch.rows] = self._pool(batch).cpu().numpy()
            if on_batch is not None:
                on_batch(BatchTiming(len(batch.rows), (time.perf_counter() - started,)))
        return vectors

    def _pool(self, batch: TokenBatch) -> torch.Tensor:
        device = self._embedder.placement.device
        ids, mask = batch.input_ids.to(device), batch.attention_mask.to(device)
        hidden = self._states(ids, mask).float()  # (B, T, H)
        if self._pooling == "mean":
            weights = mask[..., None].float()
            pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        else:
            rows = torch.arange(len(hidden), device=device)
            pooled = hidden[rows, self._position(ids, mask)]  # (B, H)
        return functional.normalize(pooled, dim=-1)

    def _states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the (B, T, H) last-layer states of a prompt; the model's weights are shared."""
        backbone: Any = self._embedder.document_backbone
        if not self._is_causal:
            states: torch.Tensor = backbone.prefill(ids, mask).states
            return states
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        transformer = backbone.model.base_model
        return transformer(
            input_ids=ids, attention_mask=mask, position_ids=positions
        ).last_hidden_state

    def _position(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the (B,) place of the token whose state is the embedding, from the right."""
        chosen = mask
        if self._prompt is not None and self._prompt.mask_id is not None:
            # A text may hold a mask token of its own; the prompt's is the last one.
            chosen = (ids == self._prompt.mask_id).long()
        return chosen.shape[1] - 1 - chosen.flip(dims=[1]).argmax(dim=1)


class _Prompt:
    """Puts texts into the prompt, by tokens: a long text is cut, its frame never is."""

    def __init__(self, embedder: GircseEmbedder) -> None:
        self._tokenizer = Tokenizer.from_file(str(embedder.info.tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        is_causal = embedder.config.family == "causal"
        self.mask_id = None if is_causal else self._tokenizer.token_to_id("[MASK]")
        if not is_causal and self.mask_id is None:
            raise UnsupportedModelError(
                f"{embedder.info.tokenizer_file} has no [MASK], which the prompt baseline of an "
                "encoder ends in. Leave that baseline out."
            )
        special = self._tokenizer.encode(
            "", add_special_tokens=embedder.config.add_special_tokens
        ).ids
        split = len(special) if is_causal else 1  # an encoder's text stands between [CLS] and [SEP]
        self._before = special[:split] + self._ids(_BEFORE)
        self._after = self._ids(_AFTER_CAUSAL if is_causal else _AFTER_MASKED) + special[split:]
        self._limit = embedder.config.max_length - len(special)
        self.truncated = 0

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text within the prompt."""
        rows = []
        for text in texts:
            ids = self._ids(text)
            self.truncated += len(ids) > self._limit
            rows.append(self._before + ids[: self._limit] + self._after)
        return rows

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids
