"""Stands in for the model where a cluster has embedded the texts already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from indexer.documents import text_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.embedder import ModelInfo
    from indexer.indexing.embedding import DocumentEmbedder

__all__ = ["ShardEmbedder"]


class ShardEmbedder:
    """Returns vectors out of shards, and asks the model itself for what is in none.

    That happens where a text was taken for one whose vector was known, as good as never.

    Args:
        info: what is known of the model.
        vector: returns the (D,) vector of the text of a hash, or None.
        load: loads the model.
    """

    def __init__(
        self,
        info: ModelInfo,
        vector: Callable[[bytes], NDArray[np.float32] | None],
        load: Callable[[], DocumentEmbedder],
    ) -> None:
        self._info = info
        self._vector = vector
        self._load = load
        self._model: DocumentEmbedder | None = None
        self._lock = threading.Lock()

    @property
    def info(self) -> ModelInfo:
        """What it is."""
        return self._info

    def embed_documents(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        """Return (N, D) unit vectors of documents embedded exactly as given, in input order."""
        import numpy as np

        vectors = [self._vector(text_hash(text)) for text in texts]
        missing = [place for place, vector in enumerate(vectors) if vector is None]
        if missing:
            with self._lock:
                self._model = self._model or self._load()
                made = self._model.embed_documents([texts[i] for i in missing], steps=steps)
            for place, vector in zip(missing, made, strict=True):
                vectors[place] = vector
        return np.stack([vector for vector in vectors if vector is not None])
