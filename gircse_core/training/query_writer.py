"""A causal language model that writes queries, and says how well a query fits a passage.

Knows prompts only: what stands in them, and which queries are worth keeping, is the caller's.

Source: contrast while writing and contrast as a measure of quality follow MultiCSR (Wang et al.,
NAACL 2024, arXiv:2310.10962): what a prompt without the passage would say as well is held down.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoTokenizer, GenerationConfig

from gircse_core.backbones.causal import CausalBackbone
from gircse_core.devices import place
from gircse_core.errors import ModelIntegrityError, TrainingInputError, UnsupportedModelError
from gircse_core.registry import resolve

__all__ = ["QueryWriter", "WritingConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingConfig:
    """How queries are sampled.

    Args:
        max_new_tokens: of one query.
        temperature: of the sampling, above 0.
        top_p: the smallest set of tokens with this probability is sampled from.
        contrast: how strongly what a prompt without the passage would say is held down; 1 is off.
        max_prompt_tokens: longer prompts are refused.
        batch_size: prompts at a time.
        seed: decides every sample.
    """

    max_new_tokens: int = 40
    temperature: float = 0.7
    top_p: float = 0.95
    contrast: float = 1.3
    max_prompt_tokens: int = 1024
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "max_prompt_tokens", "batch_size"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.temperature > 0, "temperature", self.temperature, "above 0")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0, 1 at most")
        _require(self.contrast >= 1, "contrast", self.contrast, "at least 1")
        _require(self.seed >= 0, "seed", self.seed, "at least 0")


class QueryWriter:
    """A loaded language model.

    Args:
        model: a folder, or ``owner/model`` that is in the local cache; of a PEFT adapter its base.
        config: how to sample.
        device: torch's name for one; None chooses.

    Raises:
        ModelNotFoundError, ModelIntegrityError: it is not here, or its files are damaged.
        UnsupportedModelError: it is no causal language model.
    """

    def __init__(
        self, model: str, config: WritingConfig | None = None, *, device: str | None = None
    ) -> None:
        self.config = config or WritingConfig()
        spec = resolve(model, offline=True)
        if spec.config.family != "causal":
            raise UnsupportedModelError(
                f"{model} is an encoder and cannot write. Give a causal language model, such as a "
                "folder that holds an instruction-tuned one."
            )
        placement = place("causal", device=device)
        # Loaded as for embedding: safetensors only, no code from the folder, complete weights.
        backbone = CausalBackbone.load(
            spec.config, spec.base, device=placement.device, dtype=placement.document_dtype
        )
        self._model: Any = backbone.model
        self._device = placement.device
        self._tokenizer: Any = _tokenizer(spec.base)
        self._end_ids = _end_ids(self._model, spec.base)

    def write(self, prompts: Sequence[str], *, blank_prompts: Sequence[str]) -> Iterator[str]:
        """Yield what the model answers to each prompt, in order.

        Args:
            prompts: N instructions with a passage.
            blank_prompts: the same N without it, for the contrast.

        Raises:
            TrainingInputError: a prompt is too long.
        """
        if len(prompts) != len(blank_prompts):
            raise ValueError(f"{len(prompts)} prompts, but {len(blank_prompts)} blank ones")
        size = self.config.batch_size
        for begin in range(0, len(prompts), size):
            with torch.random.fork_rng():
                # A seed for each batch: what is written does not depend on what was before.
                torch.manual_seed(self.config.seed * 1_000_003 + begin // size)
                yield from self._write(
                    prompts[begin : begin + size], blank_prompts[begin : begin + size]
                )

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        """Return the mean log-probability per token of each answer after its prompt.

        Args:
            prompts: N instructions.
            answers: N texts, none of them empty.
        """
        found: list[float] = []
        for begin in range(0, len(prompts), self.config.batch_size):
            part = slice(begin, begin + self.config.batch_size)
            found += self._likelihoods(prompts[part], answers[part])
        return found

    @torch.inference_mode()
    def _write(self, prompts: Sequence[str], blank_prompts: Sequence[str]) -> list[str]:
        ids, mask = self._padded(self._rows(prompts))
        settings = GenerationConfig(
            do_sample=True,
            max_new_tokens=self.config.max_new_tokens,
            temperature=self.config.temperature,
            top_p=self.config.top_p,
            top_k=0,
            pad_token_id=self._end_ids[0],
            eos_token_id=self._end_ids,
        )
        contrast: dict[str, Any] = {}
        if self.config.contrast > 1:
            blank_ids, blank_mask = self._padded(self._rows(blank_prompts))
            contrast = {
                "guidance_scale": self.config.contrast,
                "negative_prompt_ids": blank_ids,
                "negative_prompt_attention_mask": blank_mask,
            }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # models ship sampling settings that are not used here
            out = self._model.generate(
                input_ids=ids, attention_mask=mask, generation_config=settings, **contrast
            )
        written = out[:, ids.shape[1] :]
        return [text.strip() for text in self._tokenizer.batch_decode(written, True)]

    @torch.inference_mode()
    def _likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        heads = self._rows(prompts)
        tails = [
            self._tokenizer(f" {answer}", add_special_tokens=False).input_ids for answer in answers
        ]
        ids, mask = self._padded([head + tail for head, tail in zip(heads, tails, strict=True)])
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        logits = self._model(
            input_ids=ids, attention_mask=mask, position_ids=positions
        ).logits.float()  # (B, T, V)
        chosen = functional.cross_entropy(
            logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none"
        )  # (B, T - 1)
        # Rows end together: the answer is the last tokens of each.
        return [-float(row[-len(tail) :].mean()) for row, tail in zip(chosen, tails, strict=True)]

    def _rows(self, prompts: Sequence[str]) -> list[list[int]]:
        rows = [self._prompt_ids(prompt) for prompt in prompts]
        longest = max(map(len, rows), default=0)
        if longest > self.config.max_prompt_tokens:
            raise TrainingInputError(
                f"A prompt has {longest} tokens; {self.config.max_prompt_tokens} are allowed. "
                "Shorten the passages."
            )
        return rows

    def _prompt_ids(self, prompt: str) -> list[int]:
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer(prompt).input_ids)
        messages = [{"role": "user", "content": prompt}]
        text = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )
        # The template has written the special tokens already.
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (B, T) ids and mask, padded on the left, so that all rows end together."""
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._end_ids[0], dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, width - len(row) :] = torch.tensor(row)
            mask[index, width - len(row) :] = 1
        return ids.to(self._device), mask.to(self._device)


def _tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers' classes are untyped
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelIntegrityError(f"The tokenizer in {folder} cannot be read: {error}") from error


def _end_ids(model: Any, folder: Path) -> list[int]:  # noqa: ANN401
    """Return the tokens that end an answer; the first of them also fills rows up.

    The model's own, not the tokenizer's: a tokenizer class may add tokens that the model lacks.
    """
    named = model.generation_config.eos_token_id
    found = named if isinstance(named, list) else [named]
    if not found or found[0] is None:
        raise ModelIntegrityError(
            f"{folder} names no eos_token_id, so answers would never end; add it to its "
            "generation_config.json."
        )
    return found


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise TrainingInputError(f"{name} is {value}; it must be {allowed}.")
