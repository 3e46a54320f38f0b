"""The public entry: texts in, unit vectors out, with the number of refinement steps as the dial."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gircse_core.backbones.base import Backbone
from gircse_core.backbones.prefix_encoder import PrefixEncoder
from gircse_core.config import ModelConfig
from gircse_core.devices import Placement, place
from gircse_core.errors import InputError, StepCountError, UnsupportedModelError
from gircse_core.generation import GenerationStep, generate
from gircse_core.integrity import check_sha256
from gircse_core.prompts import document_prompt, query_prompt
from gircse_core.registry import DEFAULT_MODEL, ModelSpec, resolve
from gircse_core.tokenization import TextTokenizer, TokenBatch, lone_surrogate

__all__ = ["BatchTiming", "GircseEmbedder", "Refinement"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refinement:
    """One step of ``GircseEmbedder.refine``.

    Args:
        step: number of soft tokens behind the vector.
        vector: (D,) float32, unit length.
        seconds: time that this step alone took; the first includes the prefill.
        words: what the step's soft token is nearest to, as (word piece, probability), most
            probable first; empty at step 0 or when not asked for.
    """

    step: int
    vector: NDArray[np.float32]
    seconds: float
    words: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class BatchTiming:
    """One batch of ``embed_queries_at`` or ``embed_documents_at``, done.

    Args:
        texts: how many texts it held.
        seconds: for each step count asked for, the time from the start of the batch to its vectors.
    """

    texts: int
    seconds: tuple[float, ...]


class GircseEmbedder:
    """A model, loaded and ready. May be used from several threads.

    Args:
        model: a name of ours, a folder, or ``owner/model`` on a hub; one already resolved is taken
            as it is.
        device: torch's name for a device; None chooses.
        dtype: ``float32``, ``bfloat16`` or ``float16``; None chooses.
        batch_tokens: largest padded batch, in tokens; None for what the device's caches hold.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelIntegrityError: its files are incomplete or damaged.
        UnsupportedModelError: it cannot be run faithfully.
    """

    def __init__(
        self,
        model: str | ModelSpec = DEFAULT_MODEL,
        device: str | None = None,
        dtype: str | None = None,
        *,
        batch_tokens: int | None = None,
    ) -> None:
        if batch_tokens is not None and batch_tokens < 1:
            raise InputError(f"batch_tokens is {batch_tokens}; it must be at least 1.")
        self.info = model if isinstance(model, ModelSpec) else resolve(model)
        self.config: ModelConfig = self.info.config
        self.placement = place(self.config.family, device=device, dtype=dtype)
        self._batch_tokens = batch_tokens or self.placement.batch_tokens
        self._tokenizer = TextTokenizer(self.info.base, self.config)
        self._for_queries, self._for_documents = _load(self.info, self.placement)
        if self.config.max_steps == 0:
            logger.info(
                "%s has no trained refinement: it embeds at 0 steps, as its base encoder.",
                self.info.name,
            )

    @property
    def dim(self) -> int:
        """Width D of the vectors."""
        return self.info.dim

    @property
    def fingerprint(self) -> dict[str, str]:
        """What decides the vectors, with the type that documents are embedded in."""
        dtype = str(self.placement.document_dtype).removeprefix("torch.")
        return self.info.fingerprint() | {"dtype": dtype}

    @property
    def tokenizer(self) -> TextTokenizer:
        """What turns its texts into batches."""
        return self._tokenizer

    @property
    def batch_tokens(self) -> int:
        """Largest padded batch, in tokens."""
        return self._batch_tokens

    @property
    def document_backbone(self) -> Backbone[Any]:
        """What its documents run through."""
        return self._for_documents

    @property
    def truncated(self) -> int:
        """How many texts have been cut at the model's limit so far."""
        return self._tokenizer.truncated

    @property
    def max_tokens(self) -> int:
        """How many tokens of a prompt it reads; what is beyond them is cut."""
        return self.config.max_length

    def token_counts(self, texts: Sequence[str], *, as_queries: bool = False) -> list[int]:
        """Return how many tokens the prompt of each text has, before any is cut.

        Args:
            texts: N texts.
            as_queries: in the prompt of queries, not of documents.
        """
        prompt = query_prompt if as_queries else document_prompt
        return self._tokenizer.lengths([prompt(self.config, text) for text in _checked(texts)])

    def embed_queries(self, texts: Sequence[str], steps: int | None = None) -> NDArray[np.float32]:
        """Embed queries, in the model's query prompt.

        Args:
            texts: N queries.
            steps: number of soft tokens K; None for the model's default.

        Returns:
            (N, D) float32, unit length, rows in input order.

        Raises:
            InputError: a text is empty, no string, or holds half a character.
            StepCountError: the model does not define that many steps.
            UnsupportedModelError: the model gives vectors that are no numbers.
        """
        return self.embed_queries_at(texts, [self._steps(steps)])[0]

    def embed_documents(
        self, texts: Sequence[str], steps: int | None = None
    ) -> NDArray[np.float32]:
        """Embed documents exactly as given; otherwise like ``embed_queries``."""
        return self.embed_documents_at(texts, [self._steps(steps)])[0]

    def embed_queries_at(
        self,
        texts: Sequence[str],
        steps: Sequence[int],
        *,
        on_batch: Callable[[BatchTiming], None] | None = None,
    ) -> NDArray[np.float32]:
        """Embed queries at several step counts, each text in one run to the largest of them.

        Args:
            texts: N queries.
            steps: S different numbers of soft tokens, in any order.
            on_batch: told after each batch; what it takes counts for no batch.

        Returns:
            (S, N, D) float32, unit length; ``[s, n]`` is text n at ``steps[s]``.

        Raises:
            InputError: a text is empty, no string, or holds half a character, or step counts are
                missing or repeated.
            StepCountError: the model does not define that many steps.
            UnsupportedModelError: the model gives vectors that are no numbers.
        """
        prompts = [query_prompt(self.config, text) for text in _checked(texts)]
        return self._embed(self._for_queries, prompts, self._step_counts(steps), on_batch)

    def embed_documents_at(
        self,
        texts: Sequence[str],
        steps: Sequence[int],
        *,
        on_batch: Callable[[BatchTiming], None] | None = None,
    ) -> NDArray[np.float32]:
        """Embed documents exactly as given; otherwise like ``embed_queries_at``."""
        prompts = [document_prompt(self.config, text) for text in _checked(texts)]
        return self._embed(self._for_documents, prompts, self._step_counts(steps), on_batch)

    def refine(
        self, text: str, max_steps: int, *, words: int = 0, as_query: bool = True
    ) -> Iterator[Refinement]:
        """Yield a text's vector after each step, all from one prefill and one cache.

        Stop iterating at any step: what is not asked for is not computed.

        Args:
            text: one query, or one document.
            max_steps: the last step to yield.
            words: how many of the words nearest to each soft token to name.
            as_query: in the prompt of queries, not of documents.

        Raises:
            InputError: the text is empty or holds half a character.
            StepCountError: the model does not define that many steps.
            UnsupportedModelError: the model gives vectors that are no numbers.
        """
        steps = self._steps(max_steps)
        _checked([text])
        prompt = query_prompt if as_query else document_prompt
        backbone = self._for_queries if as_query else self._for_documents
        rows = self._tokenizer.encode([prompt(self.config, text)])
        batch = self._tokenizer.pad(rows, [0])
        return self._refine(backbone, batch, steps, words)

    def _refine(
        self, backbone: Backbone[Any], batch: TokenBatch, steps: int, words: int
    ) -> Iterator[Refinement]:
        run = self._generate(backbone, batch, steps)
        started = time.perf_counter()
        while True:
            # Entered anew for each step: between yields the caller's own torch code runs.
            with torch.inference_mode():
                step = next(run, None)
                if step is None:
                    return
                vector = self._vectors(step)[0]
            seconds = time.perf_counter() - started
            said = self._words(backbone, step.distribution, words)
            yield Refinement(step.step, vector, seconds, said)
            started = time.perf_counter()

    def _words(
        self, backbone: Backbone[Any], distribution: torch.Tensor | None, count: int
    ) -> tuple[tuple[str, float], ...]:
        if distribution is None or count == 0:
            return ()
        top = distribution[0].topk(min(count, distribution.shape[1]))
        tokens, chosen = top.indices, backbone.head_tokens
        if chosen is not None:
            tokens = chosen[tokens]
        pairs = zip(tokens.tolist(), top.values.tolist(), strict=True)
        return tuple((self._tokenizer.decode_token(token), share) for token, share in pairs)

    def _embed(
        self,
        backbone: Backbone[Any],
        prompts: list[str],
        steps: tuple[int, ...],
        on_batch: Callable[[BatchTiming], None] | None,
    ) -> NDArray[np.float32]:
        vectors = np.empty((len(steps), len(prompts), self.dim), dtype=np.float32)  # (S, N, D)
        if not prompts:
            return vectors
        places = {step: place for place, step in enumerate(steps)}
        rows = self._tokenizer.encode(prompts)
        for batch in self._tokenizer.batches(rows, max_tokens=self._batch_tokens):
            seconds = [0.0] * len(steps)
            started = time.perf_counter()
            with torch.inference_mode():
                for step in self._generate(backbone, batch, max(steps)):
                    place = places.get(step.step)
                    if place is not None:
                        vectors[place, batch.rows] = self._vectors(step)
                        seconds[place] = time.perf_counter() - started
            if on_batch is not None:
                on_batch(BatchTiming(len(batch.rows), tuple(seconds)))
        return vectors

    def _generate(
        self, backbone: Backbone[Any], batch: TokenBatch, steps: int
    ) -> Iterator[GenerationStep]:
        ids = batch.input_ids.to(backbone.device)
        mask = batch.attention_mask.to(backbone.device)
        return generate(backbone, self.config, ids, mask, max_steps=steps)

    def _vectors(self, step: GenerationStep) -> NDArray[np.float32]:
        """Return the (B, D) of a step, all of them numbers."""
        vectors: NDArray[np.float32] = step.embedding.float().cpu().numpy()
        if not np.isfinite(vectors).all():
            # An index would take them, and never find them again.
            raise UnsupportedModelError(
                f"{self.info.name} gives vectors that are no numbers at step {step.step}: its "
                "weights are damaged, or too large for the type it runs in. Set dtype to float32; "
                "if it is that already, fetch the model again."
            )
        return vectors

    def _steps(self, steps: int | None) -> int:
        if steps is None:
            return self.config.default_steps
        low, high = self.config.min_steps, self.config.max_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or not low <= steps <= high:
            reason = (
                "no refinement has been trained for it"
                if high == 0
                else f"choose from {low} to {high}"
            )
            raise StepCountError(f"{self.info.name} cannot run {steps!r} steps: {reason}.")
        return steps

    def _step_counts(self, steps: Sequence[int]) -> tuple[int, ...]:
        counts = tuple(self._steps(step) for step in steps)
        if not counts or len(set(counts)) != len(counts):
            raise InputError(f"Step counts {list(counts)}: give at least one, and none twice.")
        return counts


def _checked(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise InputError("Give a list of texts, not one string.")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"Text {position} is a {type(text).__name__}, not a string.")
        if not text.strip():
            raise InputError(
                f"Text {position} of {len(texts)} is empty. Leave empty texts out before "
                "embedding: they have no meaning to search for."
            )
        if (half := lone_surrogate(text)) is not None:
            raise InputError(
                f"Text {position} of {len(texts)} holds {half!r}, half of a character that no "
                "tokenizer takes. Decode texts with errors='replace'."
            )
    return texts


def _load(spec: ModelSpec, placement: Placement) -> tuple[Backbone[Any], Backbone[Any]]:
    """Return the backbones for queries and for documents; one object where nothing differs."""
    if spec.base_sha256 is not None:
        check_sha256(spec.base / "model.safetensors", spec.base_sha256)
    device, dtype = placement.device, placement.query_dtype
    if spec.config.family == "prefix_encoder":
        encoder = PrefixEncoder.load(
            spec.config, spec.base, adapter=spec.adapter, device=device, dtype=dtype
        )
        same = placement.document_dtype == dtype
        documents = encoder if same else encoder.to(device, placement.document_dtype)
        return encoder.for_queries(), documents
    # Here, not above: transformers takes seconds to import, and the small default needs none of it.
    from gircse_core.backbones.causal import CausalBackbone

    causal = CausalBackbone.load(
        spec.config, spec.base, adapter=spec.adapter, device=device, dtype=dtype
    )
    return causal, causal
