"""Embedding texts for programs, with the models that the pages search by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from app.services import Services
from indexer.embedder import token_counts
from indexer.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embeddings", "InputType", "embed"]

InputType = Literal["query", "document"]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors with what it took.

    Args:
        vectors: (N, D) float32, unit length, in the order of the texts.
        steps: refinement steps that each text got.
        tokens: how many the model read.
        truncated: how many texts were longer than it reads, and were cut there.
    """

    vectors: NDArray[np.float32]
    steps: int
    tokens: int
    truncated: int


def embed(
    services: Services,
    model: str,
    texts: Sequence[str],
    *,
    steps: int | None,
    input_type: InputType,
) -> Embeddings:
    """Embed texts, waiting for the model as long as it takes to load.

    Args:
        services: the parts of the app.
        model: one that is offered.
        texts: N texts.
        steps: refinement steps; None takes the model's own.
        input_type: whether the model's prompt of queries goes around them.

    Raises:
        UsageError: a text is empty, or the model does not define that many steps.
        ModelError: the model is not available.
    """
    for position, text in enumerate(texts):
        if not text.strip():
            raise UsageError(f"text {position} of {len(texts)} is empty; leave empty texts out")
    embedder = services.models.get(model)
    info = embedder.info
    chosen = info.default_steps if steps is None else steps
    if not info.min_steps <= chosen <= info.max_steps:
        raise UsageError(
            f"{chosen} steps asked for; {info.name} defines {info.min_steps} to {info.max_steps}"
        )
    is_query = input_type == "query"
    counts, limit = token_counts(embedder, texts, as_queries=is_query)
    run = embedder.embed_queries if is_query else embedder.embed_documents
    vectors = run(texts, steps=chosen)
    services.metrics.note_texts(model, len(texts))
    return Embeddings(
        vectors=vectors,
        steps=chosen,
        tokens=sum(min(count, limit) for count in counts),
        truncated=sum(count > limit for count in counts),
    )
