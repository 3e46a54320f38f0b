"""Models of ours as encoders of the MTEB benchmark, for the optional package ``mteb``.

Knows mteb's protocol: the texts it hands over, the prompts they are due, what it asks about a
model. Tasks, metrics and files of results are mteb's own. Importing this module needs no mteb.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gircse_core.config import ModelConfig
from gircse_core.errors import GircseError, InputError
from gircse_core.registry import DEFAULT_MODEL, list_models

if TYPE_CHECKING:
    import torch
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.model_meta import ModelMeta
    from mteb.types import Array, BatchedInput, PromptType
    from torch.utils.data import DataLoader

    from gircse_core.embedder import GircseEmbedder

__all__ = ["MtebEncoder"]

logger = logging.getLogger(__name__)

_SLICE = 4096
"""Texts between two moves of the progress bar; batches are formed inside of a slice."""


class MtebEncoder:
    """A model at a fixed number of refinement steps, as ``mteb.evaluate`` takes it.

    Queries read the query prompt and documents the document prompt. The two sides of a symmetric
    task (similarity, classification, clustering, reranking) both read the query prompt. For models
    trained with an instruction, it is the task's own; for others texts stay raw.

    Results are kept by mteb under the model's name with the steps (``gircse/gircse-minilm@8``) and,
    as the revision, a digest of everything else that decides the vectors.

    Args:
        model: a name of ours, a folder, or ``owner/model`` on a hub.
        steps: refinement steps for all texts; None for the model's default.
        device: torch's name for a device; None chooses.
        dtype: ``float32``, ``bfloat16`` or ``float16``; None chooses.

    Raises:
        GircseError: mteb is not installed, or the model cannot be loaded.
        StepCountError: the model does not define that many steps.

    Example:
        Two step counts on one task, which mteb fetches from the hub::

            import mteb
            from gircse_core.mteb import MtebEncoder

            task = mteb.get_task("SciFact")
            for steps in (0, 8):
                result = mteb.evaluate(MtebEncoder("gircse-minilm", steps), task)
                print(result.model_name, result.task_results[0].get_score())
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        steps: int | None = None,
        *,
        device: str | None = None,
        dtype: str | None = None,
    ) -> None:
        if importlib.util.find_spec("mteb") is None:
            raise GircseError(
                "Running MTEB needs the package mteb, which is not installed. "
                "Run: pip install 'gircse-search[mteb]'"
            )
        from gircse_core.embedder import GircseEmbedder

        self.model = GircseEmbedder(model, device=device, dtype=dtype)
        self.steps = self.model.info.default_steps if steps is None else steps
        # Refuses a wrong step count now and not after mteb has fetched its data.
        self.model.embed_queries([], steps=self.steps)
        self.mteb_model_meta: ModelMeta = _model_meta(self.model, self.steps)

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool = False,
        precision: str = "float32",
    ) -> NDArray[np.float32]:
        """Embed the texts of one side of a task.

        Args:
            inputs: batches with the N texts under ``text``, titles already joined by mteb.
            task_metadata: the task, asked for its instruction and type.
            hf_split: not used.
            hf_subset: not used.
            prompt_type: query, document, or None where the task is symmetric.
            batch_size: not used; texts are batched by tokens and length.
            show_progress_bar: whether to show one, on stderr.
            precision: ``float32``; nothing else is offered.

        Returns:
            (N, D) float32 in input order, unit length; zeros for a text without any character
            to read, whose cosine with everything is then 0.

        Raises:
            InputError: another precision is asked for.
        """
        from tqdm import tqdm

        if precision != "float32":
            raise InputError(f"precision is {precision!r}; these models return float32 only.")
        texts = [text for batch in inputs for text in batch["text"]]
        vectors = np.zeros((len(texts), self.model.dim), dtype=np.float32)  # (N, D)
        readable = [row for row, text in enumerate(texts) if text.strip()]
        if len(readable) < len(texts):
            logger.warning(
                "%s: %d of %d texts are empty; their vectors are zeros.",
                task_metadata.name,
                len(texts) - len(readable),
                len(texts),
            )
        with tqdm(total=len(readable), unit="text", disable=not show_progress_bar) as progress:
            for start in range(0, len(readable), _SLICE):
                rows = readable[start : start + _SLICE]
                part = [texts[row] for row in rows]
                vectors[rows] = self._embed(part, task_metadata, prompt_type)
                progress.update(len(rows))
        return vectors

    def similarity(self, embeddings1: Array, embeddings2: Array) -> torch.Tensor:
        """Return the (N, M) cosines of (N, D) and (M, D) embeddings."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Array, embeddings2: Array) -> torch.Tensor:
        """Return the (N,) cosines of (N, D) embeddings with their counterparts."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(embeddings1, embeddings2)

    def _embed(
        self, texts: Sequence[str], task: TaskMetadata, prompt_type: PromptType | None
    ) -> NDArray[np.float32]:
        # A shallow copy shares weights and tokenizer; only the words around the texts differ.
        embedder = copy.copy(self.model)
        embedder.config = _conventions(self.model.config, task, prompt_type)
        if prompt_type is not None and prompt_type.value == "query":
            return embedder.embed_queries(texts, steps=self.steps)
        return embedder.embed_documents(texts, steps=self.steps)


def _conventions(
    config: ModelConfig, task: TaskMetadata, prompt_type: PromptType | None
) -> ModelConfig:
    """Return the model's conventions with the task's instruction, for one side of the task.

    Documents stay raw but in symmetric tasks, in reranking, and where the task has an instruction
    for them. Source: arXiv:2509.24291 and the instructions that its evaluation was run with.
    """
    if config.task is None:
        return config
    asked = _instruction(config, task)
    if prompt_type is not None and prompt_type.value == "document":
        own = task.prompt.get("document") if isinstance(task.prompt, dict) else None
        if own is None and task.type != "Reranking":
            return replace(config, task=asked)
        asked = own or asked
    return replace(config, task=asked, document_template=config.query_template)


def _instruction(config: ModelConfig, task: TaskMetadata) -> str | None:
    """Return what the task asks for: its own words, those of its kind, or the model's default."""
    from mteb.abstasks.abstask import get_abstask_prompt

    own = task.prompt.get("query") if isinstance(task.prompt, dict) else task.prompt
    return own or get_abstask_prompt(task.name) or config.task


def _model_meta(model: GircseEmbedder, steps: int) -> ModelMeta:
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    spec = model.info
    known = spec.name in dict(list_models())  # all of them under Apache-2.0, trained on English
    # A folder's path says where a model lies, not what it is: the digest leaves it out.
    deciding = {key: value for key, value in model.fingerprint.items() if key != "model"}
    digest = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
    return ModelMeta(
        loader=None,
        name=f"{_public_name(spec.name)}@{steps}",
        revision=digest[:12],
        release_date=None,
        languages=["eng-Latn"] if known else None,
        n_parameters=None,
        memory_usage_mb=None,
        max_tokens=spec.config.max_length,
        embed_dim=spec.dim,
        license="apache-2.0" if known else None,
        open_weights=True if known else None,
        public_training_code=None,
        public_training_data=None,
        framework=["PyTorch"],
        similarity_fn_name=ScoringFunction.COSINE,
        use_instructions=spec.config.task is not None,
        training_datasets=None,
    )


def _public_name(name: str) -> str:
    """Return ``owner/model`` for a hub id, and ``gircse/NAME`` for a folder or a name of ours."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return f"gircse/{folder.resolve().name}"
    return name if "/" in name else f"gircse/{name}"
