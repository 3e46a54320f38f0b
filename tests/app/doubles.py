"""The real model, made slow or made to fail, for tests of what happens meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from indexer.embedder import Embedder, ModelInfo, Refinement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class GatedEmbedder:
    """Embeds documents only while its gate is open; counts the texts."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.gate = threading.Event()
        self.is_asked = threading.Event()
        self.failure: Exception | None = None
        self.texts = 0

    @property
    def info(self) -> ModelInfo:
        return self._embedder.info

    def embed_documents(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        self.is_asked.set()
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        self.texts += len(texts)
        return self._embedder.embed_documents(texts, steps=steps)

    def embed_queries(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        return self._embedder.embed_queries(texts, steps=steps)

    def refine(self, text: str, *, max_steps: int) -> Iterator[Refinement]:
        return self._embedder.refine(text, max_steps=max_steps)
