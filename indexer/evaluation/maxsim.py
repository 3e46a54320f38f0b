"""Sentence-level MaxSim: a passage scores as its closest sentence does.

Sentences are embedded apart by the frozen encoder: test-time compute, and an index several times
larger, without training. Pure: the whole passage's own vector takes no part.

Source: Khattab and Zaharia, "ColBERT", SIGIR 2020, with sentences in the place of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sentences", "nearest_by_sentence", "split_sentences"]

_END = re.compile(r"(?<=[.!?…])[\"'”)\]]*\s+|(?<=[。！？])|\n+")  # noqa: RUF001
_BLOCK_SCORES = 2**24


@dataclass(frozen=True, slots=True)
class Sentences:
    """The sentences of M passages.

    Args:
        texts: T different sentences.
        members: for each of the passages' sentences in turn, which of the T it is.
        starts: (M,) where in ``members`` each passage begins.
    """

    texts: tuple[str, ...]
    members: NDArray[np.int64]
    starts: NDArray[np.int64]


def split_sentences(passages: Sequence[str]) -> Sentences:
    """Cut passages into sentences, equal ones kept once; none of the passages may be empty."""
    known: dict[str, int] = {}
    members: list[int] = []
    starts: list[int] = []
    for passage in passages:
        starts.append(len(members))
        found = [part.strip() for part in _END.split(passage) if part.strip()]
        members += [known.setdefault(sentence, len(known)) for sentence in found]
    return Sentences(tuple(known), np.array(members), np.array(starts))


def nearest_by_sentence(
    queries: NDArray[np.float32],
    sentences: Sentences,
    vectors: NDArray[np.float32],
    *,
    top_k: int,
) -> NDArray[np.int64]:
    """Return (Q, k) passages by their closest sentence, best first, equal ones in their order.

    Args:
        queries: (Q, D), unit length.
        sentences: of M passages.
        vectors: (T, D) of the sentences.
        top_k: how many; all where there are fewer.
    """
    block = max(1, _BLOCK_SCORES // len(sentences.members))
    ranked = []
    for start in range(0, len(queries), block):
        scores = (queries[start : start + block] @ vectors.T)[:, sentences.members]
        best = np.maximum.reduceat(scores, sentences.starts, axis=1)  # (q, M)
        ranked.append(np.argsort(-best, axis=1, kind="stable")[:, :top_k])
    return np.concatenate(ranked)
