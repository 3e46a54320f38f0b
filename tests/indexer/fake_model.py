"""A model that needs no weights: unit vectors drawn from the hash of each text, and counters."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

DIM = 16


def write_tokenizer(folder: Path) -> Path:
    """Write a tokenizer that knows every letter and nothing longer."""
    letters = {chr(code): number for number, code in enumerate(range(32, 127), start=1)}
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, **letters}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@dataclass(frozen=True)
class FakeModel:
    """What is known of it without loading."""

    tokenizer_file: Path
    name: str = "fake"
    weights: str = "0123"
    dim: int = DIM
    min_steps: int = 0
    max_steps: int = 20
    default_steps: int = 0

    def fingerprint(self) -> dict[str, str]:
        return {"weights": self.weights, "pooling": "mean", "dtype": "float32"}


@dataclass
class FakeEmbedder:
    """The loaded model; a test may make it slow, or make it fail."""

    info: FakeModel
    seconds_per_text: float = 0.0
    fails_after: int | None = None
    texts: list[str] = field(default_factory=list)
    steps: set[int | None] = field(default_factory=set)

    def embed_documents(self, texts: Sequence[str], *, steps: int | None = None) -> np.ndarray:
        if self.fails_after is not None and len(self.texts) + len(texts) > self.fails_after:
            raise RuntimeError("the device ran out of memory")
        self.texts.extend(texts)
        self.steps.add(steps)
        time.sleep(self.seconds_per_text * len(texts))
        return np.stack([vector(text) for text in texts])

    def embed_queries(self, texts: Sequence[str], *, steps: int | None = None) -> np.ndarray:
        return np.stack([vector(text) for text in texts])

    def refine(self, text: str, *, max_steps: int) -> Iterator[object]:
        raise NotImplementedError("the tests of indexing ask no queries")


def vector(text: str) -> np.ndarray:
    """Return the (16,) unit vector of a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    values = np.random.default_rng(seed).standard_normal(DIM)
    return (values / np.linalg.norm(values)).astype(np.float32)
