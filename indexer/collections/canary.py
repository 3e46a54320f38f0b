"""Probes a generation before searches are led to it: are all there, and do they find themselves?

Cheap enough to run under the write lock at every swap; the thorough proof is ``gircse verify``.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.errors import StorageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.collections.generation import Generation
    from indexer.collections.generations import GenerationRecord

__all__ = ["CanaryReport", "probe"]

_SAMPLE = 64
_BATCH = 16
_TOP_K = 10
_SAME = 1e-3  # below 1 by this much or less a cosine is that of the vector itself
_LEAST_FOUND = 0.9  # of a sample, for indexes that are not exact


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """What was seen.

    Args:
        chunks: how many can be searched.
        probed: how many of them were looked for.
        found: how many of these were found by their own vectors.
    """

    chunks: int
    probed: int
    found: int


def probe(
    generation: Generation, *, sample: int = _SAMPLE, seed: int | None = None
) -> CanaryReport:
    """Check that a generation answers for what it holds.

    Args:
        generation: live or still a draft; nobody writes to it meanwhile.
        sample: how many chunks are looked for by their own vectors.
        seed: chooses them; None chooses others every time.

    Raises:
        StorageError: counts differ, or chunks do not find themselves; it must not become live.
    """
    chunks = _checked_count(generation)
    for fault in generation.store.check_index():
        if fault.is_damage:
            raise StorageError(
                f"{fault.where}: {fault.what}, so it is not put to use; make another index: "
                "gircse reindex COLLECTION"
            )
    with generation.database.read() as connection:
        drawn = _draw(connection, sample, random.Random(seed))
    vectors = generation.archive.read([row for _, row in drawn])
    lost = [
        chunk_id
        for begin in range(0, len(drawn), _BATCH)
        for chunk_id in _lost(
            generation,
            [chunk_id for chunk_id, _ in drawn[begin : begin + _BATCH]],
            vectors[begin : begin + _BATCH],
        )
    ]
    report = CanaryReport(chunks, len(drawn), len(drawn) - len(lost))
    least = 1.0 if _is_exact(generation.record) else _LEAST_FOUND
    if report.found < least * report.probed:
        raise StorageError(
            f"{generation.index_directory}: {len(lost)} of {report.probed} sampled chunks are not "
            f"found by their own vectors, {lost[0]} among them, so the index "
            f"({generation.record.index}) is not put to use; make another one: "
            "gircse reindex COLLECTION --index flat"
        )
    return report


def _is_exact(record: GenerationRecord) -> bool:
    from indexer.stores.index_types import INDEX_TYPES

    kind = INDEX_TYPES.get(record.index)
    return record.store == "faiss" and kind is not None and kind.is_exact


def _checked_count(generation: Generation) -> int:
    with generation.database.read() as connection:
        (chunks,) = connection.execute("SELECT count(*) FROM chunks").fetchone()
        (worded,) = connection.execute("SELECT count(*) FROM chunk_words_docsize").fetchone()
        (listed,) = connection.execute("SELECT ifnull(sum(chunks), 0) FROM documents").fetchone()
    counts = {
        "passages": chunks,
        "passages by words": worded,
        "passages of all documents": listed,
        "searchable passages": len(generation.store),
    }
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        raise StorageError(
            f"{generation.directory}: the counts differ ({said}), so it is not put to use; "
            "`gircse verify COLLECTION` tells what is wrong"
        )
    return int(chunks)


def _draw(
    connection: sqlite3.Connection, sample: int, choice: random.Random
) -> list[tuple[str, int]]:
    """Return ids and archive rows of some chunks; of all, where there are no more than wanted."""
    all_of_few = connection.execute(
        "SELECT id, row FROM chunks ORDER BY key LIMIT ?", (sample + 1,)
    ).fetchall()
    if len(all_of_few) <= sample:
        return all_of_few
    first, last = connection.execute("SELECT min(key), max(key) FROM chunks").fetchone()
    found: dict[str, int] = {}
    for _ in range(sample):
        # The next one from a random key on: no table is read through, whatever its size.
        chunk_id, row = connection.execute(
            "SELECT id, row FROM chunks WHERE key >= ? ORDER BY key LIMIT 1",
            (choice.randint(first, last),),
        ).fetchone()
        found[chunk_id] = row
    return list(found.items())


def _lost(
    generation: Generation, chunk_ids: Sequence[str], vectors: NDArray[np.float32]
) -> list[str]:
    """Return the chunks that neither come up themselves nor have their equals do so."""
    lost = []
    for chunk_id, hits in zip(
        chunk_ids, generation.store.search(vectors, top_k=_TOP_K), strict=True
    ):
        is_found = any(hit.chunk_id == chunk_id for hit in hits)
        # Of more equal vectors than are asked for, others may take all the places.
        is_equalled = bool(hits) and hits[-1].score >= 1.0 - _SAME
        if not is_found and not is_equalled:
            lost.append(chunk_id)
    return lost
