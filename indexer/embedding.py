"""Turns texts into rows of the archive, asking the model only for those that are not there yet.

Works in slices: each is archived as soon as it is embedded, so that a kill loses one slice at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from indexer.errors import StorageError

if TYPE_CHECKING:
    from indexer.archive import VectorArchive
    from indexer.embedder import Embedder

__all__ = ["EmbeddingWriter"]

_SLICE_S = 3.0
_FIRST_SLICE, _SMALLEST_SLICE, _LARGEST_SLICE = 16, 4, 4096


class EmbeddingWriter:
    """Embeds documents' texts into an archive.

    The model is loaded at the first text that needs it. Slices grow or shrink until one takes some
    three seconds: large enough to feed a GPU, small enough to stop between them on a slow machine.

    Args:
        archive: where the vectors are kept.
        load: loads the model, or returns the loaded one.
        steps: refinement steps of every text.
    """

    def __init__(self, archive: VectorArchive, load: Callable[[], Embedder], *, steps: int) -> None:
        self._archive = archive
        self._load = load
        self._steps = steps
        self._embedder: Embedder | None = None
        self.slice_size = _FIRST_SLICE
        self.embedded = 0
        self.model_seconds = 0.0
        self.load_seconds = 0.0

    def known(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Return the archive rows of texts that were embedded before."""
        return self._archive.lookup(hashes)

    def embed(self, texts: Mapping[bytes, str]) -> Iterator[dict[bytes, int]]:
        """Embed texts and keep their vectors, slice by slice.

        Args:
            texts: each under its ``text_hash``.

        Yields:
            The archive rows of the slice that was just kept.

        Raises:
            StorageError: the archive cannot be written, or the model returned no unit vectors;
                earlier slices stay.
        """
        hashes = list(texts)
        begin = 0
        while begin < len(hashes):
            part = hashes[begin : begin + self.slice_size]
            begin += len(part)
            yield dict(zip(part, self._embed([texts[key] for key in part], part), strict=True))

    def _embed(self, texts: list[str], hashes: list[bytes]) -> list[int]:
        embedder = self._loaded()
        started = time.perf_counter()
        vectors = embedder.embed_documents(texts, steps=self._steps)
        seconds = time.perf_counter() - started
        self.model_seconds += seconds
        self._resize(len(texts), seconds)
        try:
            rows = self._archive.append(hashes, vectors)
        except ValueError as error:
            raise StorageError(
                f"model {embedder.info.name!r} returned vectors that cannot be kept: {error}; "
                "run `gircse model verify`, or use another model"
            ) from error
        self.embedded += len(texts)
        return rows

    def _loaded(self) -> Embedder:
        if self._embedder is None:
            started = time.perf_counter()
            self._embedder = self._load()
            self.load_seconds = time.perf_counter() - started
        return self._embedder

    def _resize(self, count: int, seconds: float) -> None:
        wanted = count * _SLICE_S / max(seconds, 1e-6)
        if count == self.slice_size:
            # fourfold at most: the first slices also pay for the model's warming up
            wanted = min(wanted, count * 4)
        elif seconds < _SLICE_S:
            return  # a last, short slice says little about the speed of full ones
        self.slice_size = int(min(max(wanted, _SMALLEST_SLICE), _LARGEST_SLICE))
