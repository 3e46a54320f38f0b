"""What a search is asked and what it answers. Plain values; knows neither stores nor models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from indexer.documents import Chunk
from indexer.errors import UsageError
from indexer.searching.filters import Where
from indexer.searching.fusion import AUTOMATIC, DenseWeight
from indexer.searching.query_words import QueryWords, parse_query
from indexer.searching.refining import Progress
from indexer.stores.base import DocumentRecord

__all__ = [
    "FUSIONS",
    "MODES",
    "PASSAGES_PER_DOCUMENT",
    "Fusion",
    "Grouping",
    "Hit",
    "Mode",
    "SearchRequest",
    "SearchResult",
]

Mode = Literal["hybrid", "dense", "lexical"]
Fusion = Literal["weighted", "rrf"]
Grouping = Literal["passage", "document"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
FUSIONS: tuple[Fusion, ...] = ("weighted", "rrf")
PASSAGES_PER_DOCUMENT = 4
"""Of a document that is found as one: its best passages, up to so many."""

_SEPARATOR = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "  # as in ``Chunk.context``


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for, and how.

    Args:
        text: the query. A phrase in quotes has to occur, a word or phrase after a minus must not;
            see ``indexer.searching.query_words``. Empty only where there are passages to search by.
        top_k: how many hits, or documents where hits are grouped by these.
        offset: how many of them to leave out before.
        mode: by meaning (dense), by words (lexical), or both.
        steps: refinement steps of the query; None takes the collection's own. With ``budget_ms`` or
            ``until_stable`` the most that are taken; None then stands for all that are offered.
        budget_ms: time to answer within, counted from when the model is loaded: as many steps as
            that allows, and the model's smallest number at the least.
        until_stable: stop refining when the first hits stay as they are, or the vector does.
        where: which documents to search; None searches all.
        fusion: how hybrid search joins its legs.
        dense_weight: share of the dense leg in weighted fusion: 0 to 1, or ``"auto"`` to choose it
            by the lengths of the passages found; None takes the collection's own, else ``"auto"``.
        candidates: how many chunks of each leg hybrid search fuses. Hits beyond that many make
            it fuse more, which may change their order.
        like: ids of chunks to find more of: the query moves towards their vectors, or is made of
            them where there is no text; they themselves are not hits then. Unknown ones are passed
            over.
        unlike: ids of chunks to find less of: the query moves away from them.
        grouping: ``"document"`` returns the best passages of each document together, of those
            among the candidates.
        is_plain: take quotes and minus signs of the text as characters like any other.

    Raises:
        UsageError: there is nothing to search by, or a value is out of its range.
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
    budget_ms: float | None = None
    until_stable: bool = False
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    grouping: Grouping = "passage"
    is_plain: bool = False

    def __post_init__(self) -> None:
        self._check_subject()
        if self.budget_ms is not None and not 0.0 < self.budget_ms < float("inf"):
            raise UsageError(f"the budget is {self.budget_ms:g} ms; it must be above 0")
        if self.grouping not in ("passage", "document"):
            raise UsageError(f"no grouping {self.grouping!r}; choose passage or document")
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

    def _check_subject(self) -> None:
        """Check that there is something to search by, in this mode."""
        if not self.text.strip() and not self.like:
            raise UsageError("the query is empty; say what to look for")
        if not self.text.strip() and self.mode != "dense":
            raise UsageError(
                f"a search by passages alone has no words for mode {self.mode!r}; choose dense"
            )
        if self.mode == "lexical" and (self.like or self.unlike):
            raise UsageError(
                "a search by words alone cannot look for more or less of a passage; choose hybrid "
                "or dense"
            )
        self.words  # noqa: B018 - raises where it cannot be understood

    @property
    def words(self) -> QueryWords:
        """The text taken apart."""
        if self.is_plain or not self.text.strip():
            return QueryWords(self.text)
        return parse_query(self.text)

    @property
    def chooses_steps(self) -> bool:
        """Whether how far to refine is found out while searching."""
        return self.mode != "lexical" and (self.budget_ms is not None or self.until_stable)


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
        first_rank: its rank at the first look of a search that was watched while it refined; None
            where it was not among the candidates then, or nothing was watched.
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
    first_rank: int | None = None

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
        hits: best first; grouped by documents, those of each one together.
        total_chunks: how many chunks the collection had.
        timings_ms: time of each part that ran ("load" of the model, "embed", "dense", "lexical",
            "fuse", "fetch") and of all of them ("total").
        steps_ms: time of each refinement step, from the model's smallest number of steps on; the
            first one includes reading the query.
        fingerprint: what decided the collection's vectors.
        generation: number of the generation that was searched; None where there are none.
        progress: how far the query was refined and how stable the first hits are; None where only
            one look was taken, or no text was embedded.
        looks: how many times the collection was searched, which the timings are the sums of.
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
    progress: Progress | None = None
    looks: int = 1
