"""The kinds of FAISS index that a collection can be searched with, and what each one costs.

Every kind here is right for deletion and update. FAISS's own refining indexes are not offered: they
cannot delete, and the store scores contenders exactly anyway, from the vector archive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from indexer.errors import UsageError
from indexer.stores.index_file import FaissObject, import_faiss

__all__ = ["DEFAULT_INDEX_TYPE", "INDEX_TYPES", "IndexType", "index_type_named"]

Codes = Literal["fp32", "fp16", "sq8", "rabitq"]
Structure = Literal["scan", "graph", "lists"]

_LINKS = 32  # of a graph's vectors, each; twice as many on the lowest level
_LINK_BYTES = 2 * _LINKS * 4 + 16
_TRAINING_ROWS_PER_LIST = 64  # k-means wants 39 at the least, and gains nothing beyond 256
_LEAST_ROWS_PER_LIST = 39
_ROWS_FOR_RANGES = 65_536
_ADDS_PER_BATCH: dict[Structure, int] = {"scan": 16_384, "graph": 2_048, "lists": 16_384}


@dataclass(frozen=True, slots=True)
class IndexType:
    """A kind of index.

    Args:
        name: as the command line and ``index.json`` have it.
        structure: ``scan`` compares a query with every vector, ``graph`` walks an HNSW graph,
            ``lists`` looks into the closest lists of an inverted file.
        codes: how a vector is stored.
        summary: what it is good for, in a few words.
        overfetch: contenders per wanted hit, which are then scored exactly.
        least_contenders: how many contenders there are at the least.
        least_rows: with fewer vectors the index is a flat one: faster to build, and exact.
    """

    name: str
    structure: Structure
    codes: Codes
    summary: str
    overfetch: int = 1
    least_contenders: int = 16
    least_rows: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether the closest vectors are always among the contenders."""
        return self.structure == "scan" and self.codes == "fp32"

    @property
    def can_remove(self) -> bool:
        """Whether vectors can be taken out of it; from a graph they cannot."""
        return self.structure != "graph"

    @property
    def is_quick_to_build(self) -> bool:
        """Whether a million vectors take seconds rather than minutes."""
        return self.structure == "scan"

    @property
    def adds_per_batch(self) -> int:
        """How many vectors to add at once: progress is told, and a stop heeded, in between."""
        return _ADDS_PER_BATCH[self.structure]

    def contenders(self, top_k: int) -> int:
        """Return how many rows to fetch so that the best ``top_k`` are among them."""
        return max(top_k * self.overfetch + 16, self.least_contenders)

    def vector_bytes(self, dim: int) -> int:
        """Return the bytes that one vector takes, in memory and in the file alike."""
        code = {"fp32": 4 * dim, "fp16": 2 * dim, "sq8": dim, "rabitq": math.ceil(dim / 8) + 8}
        return code[self.codes] + 8 + (_LINK_BYTES if self.structure == "graph" else 0)

    def training_rows(self, count: int) -> int:
        """Return how many of ``count`` vectors to train on; 0 where nothing is learned."""
        if self.structure == "lists":
            return min(count, max(list_count(count) * _TRAINING_ROWS_PER_LIST, 10_000))
        return min(count, _ROWS_FOR_RANGES) if self.codes == "sq8" else 0

    def efforts(self, count: int) -> tuple[int, ...]:
        """Return the settings of search to choose from, cheapest first; none for a scan.

        They are the ``efSearch`` of a graph and the ``nprobe`` of lists.
        """
        if self.structure == "graph":
            return (64, 128, 256, 512, 1024)
        if self.structure == "lists":
            lists = list_count(count)
            return tuple(sorted({min(lists, 2**power) for power in range(3, 11)}))
        return ()

    def new(self, dim: int, count: int) -> FaissObject:
        """Return an empty, untrained FAISS index.

        Args:
            dim: width D of the vectors.
            count: how many vectors it is meant for.
        """
        faiss = import_faiss()
        metric, quantizer = faiss.METRIC_INNER_PRODUCT, faiss.ScalarQuantizer
        if self.structure == "lists":
            # Native ids: IndexIDMap around an inverted file loses them all at the first removal.
            centroids, lists = faiss.IndexFlatIP(dim), list_count(count)
            if self.codes == "rabitq":
                index = faiss.IndexIVFRaBitQ(centroids, dim, lists, metric)
            else:
                index = faiss.IndexIVFScalarQuantizer(
                    centroids, dim, lists, quantizer.QT_8bit, metric
                )
            index.own_fields = True
            centroids.this.disown()
            return index
        if self.structure == "graph":
            bare = (
                faiss.IndexHNSWSQ(dim, quantizer.QT_8bit, _LINKS, metric)
                if self.codes == "sq8"
                else faiss.IndexHNSWFlat(dim, _LINKS, metric)
            )
        elif self.codes == "fp32":
            bare = faiss.IndexFlatIP(dim)
        else:
            kind = quantizer.QT_fp16 if self.codes == "fp16" else quantizer.QT_8bit
            bare = faiss.IndexScalarQuantizer(dim, kind, metric)
        index = faiss.IndexIDMap(bare)
        index.own_fields = True
        bare.this.disown()
        return index


def list_count(count: int) -> int:
    """Return into how many lists an inverted file parts ``count`` vectors."""
    return max(1, min(round(2 * math.sqrt(count)), count // _LEAST_ROWS_PER_LIST))


INDEX_TYPES: Mapping[str, IndexType] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            IndexType("flat", "scan", "fp32", "exact; largest and slowest"),
            IndexType("sqfp16", "scan", "fp16", "as good as exact, half the size"),
            IndexType(
                "sq8", "scan", "sq8", "a quarter of the size", overfetch=3, least_contenders=64
            ),
            IndexType("hnsw", "graph", "fp32", "fastest; slow to build, largest", least_rows=2_000),
            IndexType(
                "hnsw_sq8",
                "graph",
                "sq8",
                "fast and small; slowest to build",
                overfetch=3,
                least_contenders=64,
                least_rows=2_000,
            ),
            IndexType(
                "ivf_sq8",
                "lists",
                "sq8",
                "fast and small; quick to build",
                overfetch=3,
                least_contenders=64,
                least_rows=10_000,
            ),
            IndexType(
                "ivf_rabitq",
                "lists",
                "rabitq",
                "one bit a number: smallest",
                overfetch=20,
                least_contenders=256,
                least_rows=10_000,
            ),
        )
    }
)
"""The kinds by their names, those that miss least first."""

DEFAULT_INDEX_TYPE = "flat"


def index_type_named(name: str) -> IndexType:
    """Return a kind by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in INDEX_TYPES:
        raise UsageError(f"there is no index type {name!r}; known: {', '.join(INDEX_TYPES)}")
    return INDEX_TYPES[name]
