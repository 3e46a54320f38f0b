"""Teachers of the distillation: how a batch's passages should be ranked for its queries.

The base's own similarities keep what it knew; mixed with lexical scores (BM25 over the model's own
tokens) they teach it what exact words tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

__all__ = ["BM25_B", "BM25_K1", "LexicalTeacher", "TokenStatistics", "hybrid_scores"]

# Source: the usual values of BM25 in retrieval toolkits (Anserini's defaults).
BM25_K1, BM25_B = 0.9, 0.4
_AT_A_TIME = 2048


@dataclass(frozen=True, slots=True)
class TokenStatistics:
    """How tokens are spread over the texts of a run.

    Args:
        frequencies: (V,) int64, in how many of the texts a token occurs.
        documents: number of texts.
        mean_length: tokens per text, without the ignored ones.
        ignored: tokens that are no words, such as those that open and close a sequence.
    """

    frequencies: torch.Tensor
    documents: int
    mean_length: float
    ignored: frozenset[int]

    @classmethod
    def count(
        cls, rows: Iterable[Sequence[int]], *, vocabulary_size: int, ignored: frozenset[int]
    ) -> TokenStatistics:
        """Count tokens.

        Args:
            rows: token ids of each text.
            vocabulary_size: V.
            ignored: tokens that are no words.
        """
        frequencies = torch.zeros(vocabulary_size, dtype=torch.int64)
        documents = tokens = 0
        for part in _parts(rows):
            documents += len(part)
            words = [[token for token in row if token not in ignored] for row in part]
            tokens += sum(map(len, words))
            unique = [token for row in words for token in set(row)]
            found = torch.tensor(unique, dtype=torch.int64)
            frequencies += torch.bincount(found, minlength=vocabulary_size)
        return cls(frequencies, documents, max(tokens / max(documents, 1), 1.0), ignored)

    def rarity(self) -> torch.Tensor:
        """Return (V,) float32: the inverse document frequency of BM25, at least 0."""
        found = self.frequencies.double()
        return torch.log1p((self.documents - found + 0.5) / (found + 0.5)).float()

    def word_rarity(self) -> torch.Tensor:
        """Return (V,) float32: the rarity, 0 for tokens that are no words."""
        rarity = self.rarity()
        rarity[sorted(self.ignored)] = 0.0
        return rarity


class LexicalTeacher:
    """BM25 scores inside of a batch.

    Args:
        statistics: of the training texts.
    """

    def __init__(self, statistics: TokenStatistics) -> None:
        self._weights = statistics.rarity()  # (V,)
        self._mean_length = statistics.mean_length
        self._ignored = statistics.ignored

    def scores(
        self, queries: Sequence[Sequence[int]], passages: Sequence[Sequence[int]]
    ) -> torch.Tensor:
        """Return (B, P) BM25 scores, at least 0.

        Args:
            queries: B token rows.
            passages: P token rows.
        """
        terms = sorted({token for row in queries for token in row} - self._ignored)
        place = {token: index for index, token in enumerate(terms)}
        asked = torch.zeros(len(queries), len(terms))  # (B, U)
        for index, row in enumerate(queries):
            asked[index, [place[token] for token in set(row) - self._ignored]] = 1.0
        counts = torch.zeros(len(passages), len(terms))  # (P, U)
        for index, row in enumerate(passages):
            for token in row:
                if token in place:
                    counts[index, place[token]] += 1.0
        words = [sum(token not in self._ignored for token in row) for row in passages]
        lengths = torch.tensor(words, dtype=torch.float32)[:, None]  # (P, 1)
        norm = BM25_K1 * (1 - BM25_B + BM25_B * lengths / self._mean_length)
        saturated = counts * (BM25_K1 + 1) / (counts + norm) * self._weights[terms]  # (P, U)
        return asked @ saturated.T


def hybrid_scores(
    cosines: torch.Tensor, lexical: torch.Tensor, *, dense_weight: float
) -> torch.Tensor:
    """Return the (B, P) convex mix of both, each divided by the best of its query.

    Args:
        cosines: (B, P).
        lexical: (B, P), at least 0; a query without a match anywhere adds nothing.
        dense_weight: share of the cosines.
    """
    best_cosine = cosines.amax(dim=-1, keepdim=True).clamp(min=1e-3)
    best_lexical = lexical.amax(dim=-1, keepdim=True).clamp(min=1e-3)
    return dense_weight * cosines / best_cosine + (1 - dense_weight) * lexical / best_lexical


def _parts(rows: Iterable[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    stream = iter(rows)
    while part := list(islice(stream, _AT_A_TIME)):
        yield part
