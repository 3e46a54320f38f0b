"""Embeds texts at all the step counts that are asked for, and keeps the vectors on disk.

One run per text gives every step count. Vectors go to files slice by slice, so that memory does not
grow with the set; with a cache directory they are there for the next evaluation of the same model.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from indexer.documents import text_hash
from indexer.embedder import BatchTiming, Embedder
from indexer.errors import StorageError

__all__ = ["Role", "StepVectors", "VectorFiles"]

Role = Literal["query", "document"]

_SLICE_BYTES = 256 * 2**20
_SMALLEST_SLICE = 1024  # fewer texts could no longer be sorted into batches of like length


@dataclass(frozen=True, slots=True)
class StepVectors:
    """N texts embedded at several step counts.

    Args:
        vectors: for each step count (N, D) float32, unit length.
        seconds: for each step count the time that all texts took, from their tokens on.
        truncated: how many of the texts were cut at the model's limit.
    """

    vectors: Mapping[int, NDArray[np.float32]]
    seconds: Mapping[int, float]
    truncated: int

    def texts_per_second(self, steps: int) -> float:
        """Return how many texts the model embedded per second at a step count."""
        return len(self.vectors[steps]) / max(self.seconds[steps], 1e-9)


class VectorFiles:
    """Embeds through one model, and never the same texts twice.

    Args:
        embedder: the loaded model.
        directory: where the vectors are kept.
        variant: what besides the model's fingerprint decides its vectors, such as the device.
        on_texts: told how many texts are embedded, and of how many.
    """

    def __init__(
        self,
        embedder: Embedder,
        directory: Path,
        *,
        variant: str = "",
        on_texts: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.embedder = embedder
        self._directory = directory
        self._model = json.dumps([embedder.fingerprint, variant], sort_keys=True)
        self._on_texts = on_texts
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{directory} cannot be made: {error.strerror}.") from error

    def embed(self, role: Role, texts: Sequence[str], steps: Sequence[int]) -> StepVectors:
        """Return texts at each of ``steps``, embedding only what is not there yet.

        Raises:
            ModelError: a text is empty, or the model does not define a step count.
            StorageError: the directory cannot be read or written.
        """
        key = self._key(role, texts)
        missing = [
            step for step in steps if not self._file(key, step).with_suffix(".json").exists()
        ]
        if missing:
            self._write(role, texts, missing, key)
        found = {step: self._read(key, step, len(texts)) for step in steps}
        return StepVectors(
            vectors={step: vectors for step, (vectors, _) in found.items()},
            seconds={step: float(notes["seconds"]) for step, (_, notes) in found.items()},
            truncated=max(int(notes["truncated"]) for _, notes in found.values()),
        )

    def _key(self, role: Role, texts: Sequence[str]) -> str:
        digest = hashlib.sha256(self._model.encode())
        digest.update(role.encode())
        for text in texts:
            digest.update(text_hash(text))
        return digest.hexdigest()[:32]

    def _file(self, key: str, step: int) -> Path:
        return self._directory / f"{key}-{step:02}.npy"

    def _write(self, role: Role, texts: Sequence[str], steps: list[int], key: str) -> None:
        """Embed slice by slice; a step count's notes come last and say that its file is whole."""
        embed = (
            self.embedder.embed_queries_at if role == "query" else self.embedder.embed_documents_at
        )
        width = self.embedder.info.dim
        seconds = np.zeros(len(steps))
        truncated = self.embedder.truncated
        done = 0

        def count(timing: BatchTiming) -> None:
            nonlocal seconds, done
            seconds += np.array(timing.seconds)
            done += timing.texts
            self._on_texts(done, len(texts))

        partial = [self._file(key, step).with_suffix(f".{os.getpid()}") for step in steps]
        try:
            files = [
                np.lib.format.open_memmap(
                    path, mode="w+", dtype=np.float32, shape=(len(texts), width)
                )
                for path in partial
            ]
            length = max(_SMALLEST_SLICE, _SLICE_BYTES // (4 * width * len(steps)))
            for start in range(0, len(texts), length):
                embedded = embed(texts[start : start + length], steps, on_batch=count)  # (S, n, D)
                for file, vectors in zip(files, embedded, strict=True):
                    file[start : start + length] = vectors
            truncated = self.embedder.truncated - truncated
            for file, path, step, spent in zip(files, partial, steps, seconds, strict=True):
                file.flush()
                path.replace(self._file(key, step))
                notes = {"seconds": float(spent), "truncated": truncated}
                path.write_text(json.dumps(notes), encoding="utf-8")
                path.replace(self._file(key, step).with_suffix(".json"))
        except OSError as error:
            raise StorageError(f"{self._directory} cannot be written: {error.strerror}.") from error
        finally:
            for path in partial:
                path.unlink(missing_ok=True)

    def _read(
        self, key: str, step: int, count: int
    ) -> tuple[NDArray[np.float32], dict[str, float]]:
        file = self._file(key, step)
        try:
            notes = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            vectors = np.load(file, mmap_mode="r", allow_pickle=False)
            if vectors.shape != (count, self.embedder.info.dim) or vectors.dtype != np.float32:
                raise ValueError(f"it holds {vectors.shape} {vectors.dtype}")
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{file} is damaged ({error}); delete it and its .json, and run it again."
            ) from error
        return vectors, notes
