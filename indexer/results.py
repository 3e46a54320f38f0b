"""What a search is asked and what it answers. Plain values; knows neither stores nor models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from indexer.documents import Chunk
from indexer.errors import UsageError
from indexer.filters import Where
from indexer.fusion import AUTOMATIC, DenseWeight
from indexer.stores.base import DocumentRecord

__all__ = ["FUSIONS", "MODES", "Fusion", "Hit", "Mode", "SearchRequest", "SearchResult"]

Mode = Literal["hybrid", "dense", "lexical"]
Fusion = Literal["weighted", "rrf"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
FUSIONS: tuple[Fusion, ...] = ("weighted", "rrf")
_SEPARATOR = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "  # as in ``Chunk.context``


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for, and how.

    Args:
        text: the query.
        top_k: how many hits.
        offset: how many hits to leave out before them.
        mode: by meaning (dense), by words (lexical), or both.
        steps: refinement steps of the query; None takes the collection's own.
        where: which documents to search; None searches all.
        fusion: how hybrid search joins its legs.
        dense_weight: share of the dense leg in weighted fusion: 0 to 1, or ``"auto"`` to choose it
            by the lengths of the passages found; None takes the collection's own, else ``"auto"``.
        candidates: how many chunks of each leg hybrid search fuses. Hits beyond that many make
            it fuse more, which may change their order.

    Raises:
        UsageError: the text is empty, or a value is out of its range.
    """

    text: str
    top_k: int = 10
    offset: int = 0
    mode: Mode = "hybrid"
    steps: int | None = None
    where: Where | None = None
    fusion: Fusion = "weighted"
    dense_weight: DenseWeight | None = None
    candidates: int = 100

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise UsageError("the query is empty; say what to look for")
        if self.mode not in MODES:
            raise UsageError(f"there is no mode {self.mode!r}; choose one of {', '.join(MODES)}")
        if self.fusion not in FUSIONS:
            raise UsageError(f"no fusion {self.fusion!r}; choose one of {', '.join(FUSIONS)}")
        for name, value, least in (
            ("top_k", self.top_k, 1),
            ("offset", self.offset, 0),
            ("candidates", self.candidates, 1),
        ):
            if value < least:
                raise UsageError(f"{name} is {value}; it must be at least {least}")
        weight = self.dense_weight
        if weight not in (None, AUTOMATIC) and not _is_share(weight):
            raise UsageError(f"dense_weight is {weight}; it must be from 0 to 1, or {AUTOMATIC!r}")


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0.0 <= value <= 1.0  # false for NaN


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found.

    Args:
        rank: 1 for the best one, counted from before ``offset``.
        score: what ranks it: the fused score, the cosine or the BM25, by mode.
        chunk: the passage.
        document: what it is part of.
        dense_score: its cosine; None when the dense leg was not asked.
        dense_rank: its rank in the dense leg; None when it is not among that leg's candidates.
        lexical_score: its BM25, 0 when no word matches; None when the lexical leg was not asked.
        lexical_rank: its rank in the lexical leg; None when it is not among its candidates.
        highlights: spans [start, end) of the passage that match words of the query.
    """

    rank: int
    score: float
    chunk: Chunk
    document: DocumentRecord
    dense_score: float | None
    dense_rank: int | None
    lexical_score: float | None
    lexical_rank: int | None
    highlights: tuple[tuple[int, int], ...]

    @property
    def headings(self) -> str:
        """The path of headings above the passage, without the document's title."""
        context, title = self.chunk.context, self.document.title
        return context.removeprefix(title).removeprefix(_SEPARATOR) if title else context


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of a request, with what it took.

    Args:
        request: what was asked.
        steps: refinement steps that the query got; None when no model was asked.
        dense_weight: share that the dense leg had in weighted fusion; None when nothing was fused,
            or by ranks.
        hits: best first.
        total_chunks: how many chunks the collection had.
        timings_ms: time of each part that ran ("load" of the model, "embed", "dense", "lexical",
            "fuse", "fetch") and of all of them ("total").
        steps_ms: time of each refinement step, from the model's smallest number of steps on; the
            first one includes reading the query.
        fingerprint: what decided the collection's vectors.
        generation: number of the generation that was searched; None where there are none.
    """

    request: SearchRequest
    steps: int | None
    dense_weight: float | None
    hits: tuple[Hit, ...]
    total_chunks: int
    timings_ms: dict[str, float]
    steps_ms: tuple[float, ...]
    fingerprint: dict[str, object]
    generation: int | None = None
