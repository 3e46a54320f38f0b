"""Passages for the tests of pairs, and a model whose vectors are the words of a text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.adaptation.passages import Passage
from tests.indexer.stores.content import DIM


def passage(
    text: str,
    *,
    chunk: str = "c0",
    document: str = "d0",
    title: str = "Bridges",
    heading: str = "",
) -> Passage:
    context = " \u203a ".join(part for part in (title, heading) if part)
    full = f"{context}\n{text}" if context else text
    return Passage(chunk, document, title, heading, text, full)


def word_vector(text: str) -> NDArray[np.float32]:
    vector = np.full(DIM, 0.01)
    for word in re.findall(r"\w+", text.lower()):
        vector[hashlib.sha256(word.encode()).digest()[0] % DIM] += 1
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class WordEmbedder:
    """Embeds queries by their words."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.steps: set[int | None] = set()

    def embed_queries(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        self.queries += texts
        self.steps.add(steps)
        return np.stack([word_vector(text) for text in texts])
