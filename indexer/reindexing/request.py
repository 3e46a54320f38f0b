"""What a rebuild shall change, as it was asked for. Plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from indexer.errors import UsageError
from indexer.stores.index_types import INDEX_TYPES

if TYPE_CHECKING:
    from indexer.indexing.chunking import ChunkingConfig
    from indexer.storage.segments import VectorType

__all__ = ["AUTO", "STORES", "IndexWish", "ReindexRequest", "StoreName", "store_named"]

StoreName = Literal["faiss", "qdrant"]
STORES: tuple[StoreName, ...] = get_args(StoreName)

AUTO = "auto"
"""Stands for the index type that fits the number of vectors and the budgets."""


def store_named(name: str) -> StoreName:
    """Return the store of this name.

    Raises:
        UsageError: there is none.
    """
    for store in STORES:
        if store == name:
            return store
    raise UsageError(f"there is no store {name!r}; known: {', '.join(STORES)}")


@dataclass(frozen=True, slots=True)
class IndexWish:
    """Which index is wanted.

    Args:
        index: name of an index type, or ``"auto"``; None: as it is, or what the store takes.
        store: what shall search it; None: as it is.
        budget_ms: milliseconds that a search may take; for ``"auto"``.
        budget_mb: megabytes of memory that the index may take; for ``"auto"``.

    Raises:
        UsageError: a value makes no sense.
    """

    index: str | None = None
    store: StoreName | None = None
    budget_ms: float | None = None
    budget_mb: float | None = None

    def __post_init__(self) -> None:
        if self.store is not None:
            store_named(self.store)
        budgets = {"--budget-ms": self.budget_ms, "--budget-mb": self.budget_mb}
        for flag, value in budgets.items():
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{flag} is {value}; expected a number above 0")
            if value is not None and self.index not in (None, AUTO):
                raise UsageError(
                    f"{flag} is for choosing an index type, and --index {self.index} has chosen; "
                    "leave one of them out"
                )
        if self.index not in (None, AUTO, *INDEX_TYPES):
            raise UsageError(
                f"there is no index type {self.index!r}; known: {', '.join(INDEX_TYPES)}; or "
                f"{AUTO}, to choose by the number of vectors and the budgets"
            )
        if self.index is None and any(value is not None for value in budgets.values()):
            object.__setattr__(self, "index", AUTO)
        if self.store == "qdrant" and self.index is not None:
            raise UsageError(
                "Qdrant chooses its own index, by the settings in [qdrant]; "
                "leave --index and the budgets out"
            )

    def or_else(self, other: IndexWish) -> IndexWish:
        """Return this wish, or the other one where nothing is wished for."""
        return other if self == IndexWish() else self

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "index": self.index,
            "store": self.store,
            "budget_ms": self.budget_ms,
            "budget_mb": self.budget_mb,
        }


@dataclass(frozen=True, slots=True)
class ReindexRequest:
    """What a rebuild shall change; what is None stays as it is.

    Args:
        wish: which index is wanted.
        model: name, folder or hub id of the model.
        steps: refinement steps of every document.
        max_tokens: tokens of a passage at most.
        overlap_tokens: tokens repeated at most where a paragraph had to be cut.
        context_tokens: tokens at most of title and headings that go with each passage.
        vectors: the type of number that vectors are kept in.
    """

    wish: IndexWish = IndexWish()
    model: str | None = None
    steps: int | None = None
    max_tokens: int | None = None
    overlap_tokens: int | None = None
    context_tokens: int | None = None
    vectors: VectorType | None = None

    @property
    def is_about_vectors(self) -> bool:
        """Whether it names anything that decides the vectors or their form."""
        named = (self.model, self.steps, self.vectors)
        return any(value is not None for value in named) or bool(self._chunking())

    def chunking(self, present: ChunkingConfig) -> ChunkingConfig:
        """Return how documents shall be cut, given how they are.

        An overlap that nobody names shrinks with the passages.

        Raises:
            UsageError: the sizes do not fit each other.
        """
        named = self._chunking()
        most = named.get("max_tokens", present.max_tokens) // 4
        return replace(present, **{"overlap_tokens": min(present.overlap_tokens, most), **named})

    def _chunking(self) -> dict[str, int]:
        named = {
            "max_tokens": self.max_tokens,
            "overlap_tokens": self.overlap_tokens,
            "context_tokens": self.context_tokens,
        }
        return {name: value for name, value in named.items() if value is not None}
