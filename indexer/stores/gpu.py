"""Building and searching on a GPU, where FAISS sees one.

A copy on a GPU is never the index itself: FAISS cannot write it, remove from it or filter it. What
is saved goes through ``index_gpu_to_cpu``.
"""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from indexer.stores.index_file import FaissObject, import_faiss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.stores.built_index import BuiltIndex, Found
    from indexer.stores.index_types import IndexType

__all__ = ["GpuSearch", "built_on_gpu", "device_text", "gpu_count", "searched_on_gpu"]

_MOST_RESULTS = 2048  # per query, a limit of FAISS's GPU code
_VECTORS_PER_COPY = 65_536

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def gpu_count() -> int:
    """Return how many GPUs FAISS can use, and log it once.

    The number decides: the GPU build makes its resources without complaint where there is no GPU.
    """
    count = int(import_faiss().get_num_gpus())
    logger.info("%s", _in_words(count))
    return count


def device_text() -> str:
    """Return one line about what FAISS builds and searches on."""
    return _in_words(gpu_count())


def _in_words(count: int) -> str:
    return f"FAISS uses a GPU ({count} seen)" if count else "FAISS sees no GPU: uses the CPU"


class GpuSearch:
    """A copy of an index on the first GPU. Safe between threads: one of them searches at a time.

    Args:
        index: FAISS's GPU index, which holds on to the memory that it works in.
        rows: the row of each position; None where the index keeps rows as ids.
    """

    def __init__(self, index: FaissObject, rows: NDArray[np.int64] | None) -> None:
        self._index = index
        self._rows = rows
        self._lock = threading.Lock()  # FAISS allows no two searches on the same resources

    def takes(self, count: int) -> bool:
        """Return whether so many results can be asked for."""
        return count <= min(_MOST_RESULTS, int(self._index.ntotal))

    def search(self, queries: NDArray[np.float32], count: int) -> Found:
        """Return (Q, count) scores and rows."""
        from indexer.stores.built_index import Found

        with self._lock:
            scores, rows = self._index.search(queries, count)
        if self._rows is not None:
            rows = np.where(rows < 0, -1, self._rows[rows])
        return Found(scores, rows)


def searched_on_gpu(built: BuiltIndex) -> GpuSearch | None:
    """Copy an index to the first GPU; None where that is not possible, with the reason logged."""
    if not gpu_count() or not len(built):
        return None
    faiss = import_faiss()
    try:
        resources = faiss.StandardGpuResources()
        if built.kind.structure == "lists" and built.kind.codes == "sq8":
            index = faiss.index_cpu_to_gpu(resources, 0, built.index)
            index.nprobe = built.effort
            return GpuSearch(index, None)
        if built.kind.structure == "scan" and built.kind.codes in ("fp32", "fp16"):
            return GpuSearch(_flat_copy(built, resources), built.row_of_position)
    except RuntimeError as error:  # too little memory, as a rule
        logger.warning("the index is searched on the CPU; the GPU refused it: %s", error)
        return None
    logger.info("an index of type %s is searched on the CPU", built.kind.name)
    return None


def built_on_gpu(kind: IndexType, index: FaissObject) -> FaissObject:
    """Return an empty index on the GPU to train and fill in the place of ``index``, or None."""
    if kind.structure != "lists" or kind.codes != "sq8" or not gpu_count():
        return None
    faiss = import_faiss()
    try:
        resources = faiss.StandardGpuResources()
        return faiss.index_cpu_to_gpu(resources, 0, index)
    except RuntimeError as error:
        logger.warning("the index is built on the CPU; the GPU refused it: %s", error)
        return None


def _flat_copy(built: BuiltIndex, resources: FaissObject) -> FaissObject:
    faiss = import_faiss()
    config = faiss.GpuIndexFlatConfig()
    config.useFloat16 = built.kind.codes == "fp16"
    copy = faiss.GpuIndexFlatIP(resources, built.index.d, config)
    for begin in range(0, len(built), _VECTORS_PER_COPY):
        count = min(_VECTORS_PER_COPY, len(built) - begin)
        copy.add(built.index.index.reconstruct_n(begin, count))
    return copy
