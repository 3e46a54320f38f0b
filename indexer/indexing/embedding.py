"""Turns texts into rows of the archive, asking the model only for those that are not there yet.

Works in slices: each is archived as soon as it is embedded, so that a kill loses the few that were
under way. The model has a thread of its own, or several where it runs on several devices: while it
works on one slice, whoever asked stores the one before.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from indexer.errors import StorageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.embedder import ModelInfo
    from indexer.storage.archive import VectorArchive

__all__ = ["LARGEST_SLICE", "DocumentEmbedder", "EmbeddingWriter"]

_SLICE_S = 3.0
_FIRST_SLICE, _SMALLEST_SLICE = 16, 4
LARGEST_SLICE = 4096
"""Most texts that the model gets at once where nothing else is said."""


class DocumentEmbedder(Protocol):
    """A loaded model, as far as indexing asks for it."""

    @property
    def info(self) -> ModelInfo:
        """What it is."""

    def embed_documents(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        """Return (N, D) unit vectors of documents embedded exactly as given, in input order."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """Texts that the model has been given, under their hashes."""

    hashes: list[bytes]
    vectors: Future[tuple[NDArray[np.float32], float]]


class _Busy:
    """Measures how long at least one lane was at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes = 0
        self._since = 0.0
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds so far, those of the work that is going on included."""
        with self._lock:
            current = time.perf_counter() - self._since if self._lanes else 0.0
            return self._seconds + current

    def __enter__(self) -> None:
        with self._lock:
            if not self._lanes:
                self._since = time.perf_counter()
            self._lanes += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._lanes -= 1
            if not self._lanes:
                self._seconds += time.perf_counter() - self._since


class EmbeddingWriter:
    """Embeds documents' texts into an archive.

    The model is loaded at the first text that needs it. Slices grow or shrink until one takes some
    three seconds: large enough to feed a GPU, small enough to stop between them on a slow machine.
    Used by one thread.

    Args:
        archive: where the vectors are kept.
        load: loads the model, or returns the loaded one.
        steps: refinement steps of every text.
        lanes: calls of the model that may run at once: one for each device.
        largest_slice: most texts that one call gets.
    """

    def __init__(
        self,
        archive: VectorArchive,
        load: Callable[[], DocumentEmbedder],
        *,
        steps: int,
        lanes: int = 1,
        largest_slice: int = LARGEST_SLICE,
    ) -> None:
        self._archive = archive
        self._load = load
        self._steps = steps
        self._lanes = lanes
        self._largest_slice = max(largest_slice, _SMALLEST_SLICE)
        self._embedder: DocumentEmbedder | None = None
        self._loading = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._under_way: deque[_Slice] = deque()
        self._busy = _Busy()
        self.slice_size = min(_FIRST_SLICE, self._largest_slice)
        self.embedded = 0
        self.load_seconds = 0.0

    @property
    def model_seconds(self) -> float:
        """How long the model was at work so far, on whichever devices."""
        return self._busy.seconds

    @property
    def has_room(self) -> bool:
        """Whether another slice would keep a device from having to wait for its next one."""
        return len(self._under_way) < 2 * self._lanes

    @property
    def is_idle(self) -> bool:
        """Whether some device has nothing to do."""
        return len(self._under_way) < self._lanes

    @property
    def is_done(self) -> bool:
        """Whether everything that was submitted was collected."""
        return not self._under_way

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
        try:
            while begin < len(hashes) or not self.is_done:
                while begin < len(hashes) and self.is_idle:
                    part = hashes[begin : begin + self.slice_size]
                    begin += len(part)
                    self.submit({key: texts[key] for key in part})
                self.wait(None)
                yield self.collect()
        finally:
            self.close()

    def submit(self, texts: Mapping[bytes, str]) -> None:
        """Give the model a slice of texts, each under its hash; ``wait`` says when one is done."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._lanes, thread_name_prefix="model")
        vectors = self._threads.submit(self._embed, list(texts.values()))
        self._under_way.append(_Slice(list(texts), vectors))

    def wait(self, timeout_s: float | None) -> bool:
        """Return whether a slice is done, after waiting for one; None waits as long as it takes."""
        vectors = [part.vectors for part in self._under_way]
        return bool(vectors and wait(vectors, timeout_s, return_when=FIRST_COMPLETED).done)

    def collect(self) -> dict[bytes, int]:
        """Keep the vectors of a slice that is done and return their rows.

        Raises:
            StorageError: the archive cannot be written, or the model returned no unit vectors.
        """
        done = [part for part in self._under_way if part.vectors.done()]
        # what went well is kept before what failed is raised
        part = min(done, key=lambda part: part.vectors.exception() is not None)
        self._under_way.remove(part)
        return self._keep(part)

    def withdraw(self) -> None:
        """Take back what no device has begun; ``collect`` returns what it has."""
        kept = [part for part in self._under_way if not part.vectors.cancel()]
        self._under_way = deque(kept)

    def close(self) -> None:
        """Give up what was not collected, and wait until the model rests; may be called twice."""
        self.withdraw()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None
        self._under_way.clear()

    def _keep(self, part: _Slice) -> dict[bytes, int]:
        vectors, seconds = part.vectors.result()
        self._resize(len(part.hashes), seconds)
        try:
            rows = self._archive.append(part.hashes, vectors)
        except ValueError as error:
            raise StorageError(
                f"model {self._loaded().info.name!r} returned vectors that cannot be kept: {error};"
                " run `gircse model verify`, or use another model"
            ) from error
        self.embedded += len(part.hashes)
        return dict(zip(part.hashes, rows, strict=True))

    def _embed(self, texts: list[str]) -> tuple[NDArray[np.float32], float]:
        embedder = self._loaded()
        with self._busy:
            started = time.perf_counter()
            vectors = embedder.embed_documents(texts, steps=self._steps)
            return vectors, time.perf_counter() - started

    def _loaded(self) -> DocumentEmbedder:
        with self._loading:
            if self._embedder is None:
                started = time.perf_counter()
                self._embedder = self._load()
                self.load_seconds = time.perf_counter() - started
            return self._embedder

    def _resize(self, count: int, seconds: float) -> None:
        wanted = count * _SLICE_S / max(seconds, 1e-6)
        if count >= self.slice_size:
            # fourfold at most: the first slices also pay for the model's warming up
            wanted = min(wanted, count * 4)
        elif seconds < _SLICE_S:
            return  # a short slice says little about the speed of full ones
        self.slice_size = int(min(max(wanted, _SMALLEST_SLICE), self._largest_slice))
