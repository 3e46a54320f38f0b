"""The seam to the model: what the indexer asks of an embedder, and the one place that loads it.

With ``indexer.training`` the only module of the indexer that imports ``gircse_core``, and only when
asked for a model: listing, lexical search and a run over unchanged files never import torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

# The errors alone import no torch.
from gircse_core.errors import GircseError as ModelError
from gircse_core.errors import ModelNotFoundError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gircse_core.registry import Check

__all__ = [
    "DEFAULT_MODEL",
    "BatchTiming",
    "Embedder",
    "ModelError",
    "ModelInfo",
    "ModelNotFoundError",
    "Pooling",
    "Refinement",
    "SoftToken",
    "list_models",
    "load_baseline",
    "load_embedder",
    "model_info",
    "pull_model",
    "runtime_report",
    "soft_tokens",
    "token_counts",
    "verify_model",
]

DEFAULT_MODEL = "gircse-minilm"
"""Runs on a CPU without a hub; the same name as in ``gircse_core.registry``."""


Pooling = Literal["mean", "last", "prompt"]
"""How a baseline pools a single pass; see ``gircse_core.baselines``."""


class Refinement(Protocol):
    """One step of ``Embedder.refine``."""

    @property
    def step(self) -> int:
        """Number of refinement steps behind the vector."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """(D,) float32, unit length."""

    @property
    def seconds(self) -> float:
        """Time that this step alone took; the first one includes the prefill."""


class SoftToken(Refinement, Protocol):
    """One step of ``soft_tokens``."""

    @property
    def words(self) -> tuple[tuple[str, float], ...]:
        """Word pieces nearest to the soft token, with their shares of it, the largest first.

        Empty at step 0.
        """


class BatchTiming(Protocol):
    """One batch of ``Embedder.embed_queries_at`` or ``embed_documents_at``, done."""

    @property
    def texts(self) -> int:
        """How many texts it held."""

    @property
    def seconds(self) -> tuple[float, ...]:
        """For each step count asked for, the time from the start of the batch to its vectors."""


class ModelInfo(Protocol):
    """What is known of a model without loading it (and without importing torch)."""

    @property
    def name(self) -> str:
        """The name or folder by which it was asked for."""

    @property
    def dim(self) -> int:
        """Width D of its vectors."""

    @property
    def min_steps(self) -> int:
        """Smallest number of refinement steps that the model defines."""

    @property
    def max_steps(self) -> int:
        """Largest number of refinement steps; equal to ``min_steps`` where none are trained."""

    @property
    def default_steps(self) -> int:
        """Number of steps used when the user names none."""

    @property
    def tokenizer_file(self) -> Path:
        """``tokenizer.json``, for chunking by the model's own tokens."""

    def fingerprint(self) -> dict[str, str]:
        """Return what decides the vectors: weights, adapter, pooling, instruction, limits."""


class Embedder(Protocol):
    """A loaded model."""

    @property
    def info(self) -> ModelInfo:
        """What it is."""

    @property
    def fingerprint(self) -> dict[str, str]:
        """What decides the vectors, with the type that documents are embedded in."""

    @property
    def truncated(self) -> int:
        """How many texts have been cut at the model's limit so far."""

    def embed_queries(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        """Return (N, D) unit vectors of queries, in input order."""

    def embed_documents(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        """Return (N, D) unit vectors of documents embedded exactly as given, in input order."""

    def embed_queries_at(
        self,
        texts: Sequence[str],
        steps: Sequence[int],
        *,
        on_batch: Callable[[BatchTiming], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return (S, N, D): queries at S step counts, each text in one run to the largest."""

    def embed_documents_at(
        self,
        texts: Sequence[str],
        steps: Sequence[int],
        *,
        on_batch: Callable[[BatchTiming], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return (S, N, D): documents at S step counts, each text in one run to the largest."""

    def refine(self, text: str, *, max_steps: int) -> Iterator[Refinement]:
        """Yield a query's vector after each step from ``min_steps`` on, from one run."""


def model_info(model: str) -> ModelInfo:
    """Return what is known of a model without importing torch or reaching for a hub.

    Raises:
        ModelError: there is no such model here; the message says how to get it.
    """
    from gircse_core.registry import resolve

    return resolve(model, offline=True)


def pull_model(model: str) -> ModelInfo:
    """Download a hub model's safe files into the local cache, with a progress bar on stderr.

    Raises:
        ModelError: it cannot be had.
    """
    from gircse_core.registry import resolve

    return resolve(model)


def list_models() -> list[tuple[str, str]]:
    """Return (name, one line about it) of every model known by name."""
    from gircse_core.registry import list_models as known

    return known()


def verify_model(model: str) -> list[Check]:
    """Check that a model's files are present and intact: ``name``, ``ok`` and ``detail`` each."""
    from gircse_core.registry import verify

    return verify(model)


def runtime_report(model: str = DEFAULT_MODEL) -> dict[str, str]:
    """Return which torch there is and where the model would run, and why; imports torch."""
    import torch

    from gircse_core.devices import place
    from gircse_core.registry import resolve

    placement = place(resolve(model, offline=True).config.family)
    return {
        "torch": torch.__version__,
        "device": str(placement.device),
        "query dtype": str(placement.query_dtype).removeprefix("torch."),
        "document dtype": str(placement.document_dtype).removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
        "why": placement.reason,
    }


def load_embedder(
    model: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    batch_tokens: int | None = None,
) -> Embedder:
    """Load a model; takes seconds.

    Args:
        model: a registered name, a local folder or a hub id that has been pulled.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; None chooses the best there is.
        dtype: ``"float32"`` or ``"bfloat16"``; None chooses by device and model.
        batch_tokens: largest padded batch, in tokens; None chooses by device.

    Raises:
        ModelError: it is missing, damaged or cannot be run faithfully.
    """
    # Read by OpenMP when torch is first imported. Threads that spin while they wait for each other
    # are put off their core by whatever else runs (file readers, a browser): on two busy cores a
    # query of 6 ms then took 60 to 180, and indexing three times as long, as when they sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

    from gircse_core.embedder import GircseEmbedder
    from gircse_core.registry import resolve

    # Offline: nothing is downloaded in the middle of a run; `gircse model pull` is the way.
    return GircseEmbedder(
        resolve(model, offline=True), device=device, dtype=dtype, batch_tokens=batch_tokens
    )


def soft_tokens(
    embedder: Embedder, text: str, *, max_steps: int, words: int, as_query: bool = True
) -> Iterator[SoftToken]:
    """Yield what ``Embedder.refine`` does, and what each soft token is near in the vocabulary.

    Args:
        embedder: as ``load_embedder`` returned it.
        text: one query or passage, not empty.
        max_steps: the last step to yield.
        words: how many word pieces to name at each step.
        as_query: in the prompt of queries, not of documents.

    Raises:
        ModelError: the text is empty, or the model does not define that many steps.
        TypeError: the embedder is another than this module loads.
    """
    from gircse_core.embedder import GircseEmbedder

    if not isinstance(embedder, GircseEmbedder):
        raise TypeError(f"{type(embedder).__name__} does not say what its soft tokens are near")
    return embedder.refine(text, max_steps, words=words, as_query=as_query)


def token_counts(
    embedder: Embedder, texts: Sequence[str], *, as_queries: bool
) -> tuple[list[int], int]:
    """Return how many tokens each text has in its prompt, and how many of them the model reads.

    Args:
        embedder: as ``load_embedder`` returned it.
        texts: N texts, none of them empty.
        as_queries: in the prompt of queries, not of documents.

    Raises:
        TypeError: the embedder is another than this module loads.
    """
    from gircse_core.embedder import GircseEmbedder

    if not isinstance(embedder, GircseEmbedder):
        raise TypeError(f"{type(embedder).__name__} does not count tokens")
    return embedder.token_counts(texts, as_queries=as_queries), embedder.max_tokens


def load_baseline(embedder: Embedder, pooling: Pooling) -> Embedder:
    """Return what a loaded model's weights give in a single pass, at step 0 alone.

    Args:
        embedder: as ``load_embedder`` returned it.
        pooling: over the tokens, the last one, or what a prompt ends in.

    Raises:
        ModelError: the model has no such baseline.
        TypeError: the embedder is another than this module loads.
    """
    from gircse_core.baselines import SinglePassEmbedder
    from gircse_core.embedder import GircseEmbedder

    if not isinstance(embedder, GircseEmbedder):
        raise TypeError(f"{type(embedder).__name__} has no backbone to pool")
    return SinglePassEmbedder(embedder, pooling)
