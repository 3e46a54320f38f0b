"""Builds the index of a generation that is not live yet, and measures it.

No model is asked: an index is made from the stored vectors alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.collections.generations import GenerationRecord
from indexer.reindexing.request import AUTO, IndexWish
from indexer.storage.segments import disk_errors

if TYPE_CHECKING:
    from indexer.collections.generation import Generation
    from indexer.reindexing.progress import Stopwatch

__all__ = ["build_index", "choose_index"]

QDRANT_INDEX = "hnsw"
"""What Qdrant searches, whatever its settings say of it."""


def choose_index(
    record: GenerationRecord, wish: IndexWish, live: GenerationRecord, *, count: int, dim: int
) -> GenerationRecord:
    """Return the record of a new generation with store and index type decided.

    Args:
        record: the new generation.
        wish: what is wanted.
        live: the live generation, which decides what is not wished for.
        count: how many chunks there are.
        dim: width D of their vectors.
    """
    from indexer.stores.index_choice import choose_index

    store = wish.store or live.store
    if store == "qdrant":
        return replace(record, store=store, index=QDRANT_INDEX, why="")
    kept = live.index if live.store == store else AUTO
    index = wish.index or kept
    if index != AUTO:
        return replace(record, store=store, index=index, why="")
    choice = choose_index(count, dim, wish.budget_ms, wish.budget_mb)
    return replace(record, store=store, index=choice.index_type, why=choice.why)


def build_index(
    generation: Generation, wish: IndexWish, *, watch: Stopwatch, should_stop: Callable[[], bool]
) -> GenerationRecord | None:
    """Build and measure; return the record with what was measured, None when stopped.

    Args:
        generation: with store and index type decided.
        wish: what was wanted; where a type was chosen, ``why`` also says whether it does.
        watch: told how far it is.
        should_stop: asked now and then.

    Raises:
        StorageError: the disk is full, or what was built is not sound.
    """
    from indexer.reindexing.measuring import measured

    watch.enter("indexing", total=generation.ledger.totals().chunks)
    _make_folder(generation)
    is_built = generation.store.build(
        progress=lambda done, total: watch.reach(done, total=total), should_stop=should_stop
    )
    if not is_built or should_stop():
        return None
    watch.enter("measuring")
    figures = measured(generation)
    why = generation.record.why
    if why:
        why = f"{why}. {_judged(figures, wish)}"
    return replace(generation.record, measured=figures, why=why)


def _judged(figures: Mapping[str, object], wish: IndexWish) -> str:
    from indexer.stores.index_choice import judged

    median_ms, size_bytes = figures["median_ms"], figures["size_bytes"]
    assert isinstance(median_ms, float)
    assert isinstance(size_bytes, int)
    return judged(median_ms, size_bytes, wish.budget_ms, wish.budget_mb)


def _make_folder(generation: Generation) -> None:
    """Make the folder of an index that is not there yet.

    A killed rebuild may have left word of an index of the same name in the database.
    """
    folder = generation.index_directory
    with disk_errors(folder, needed=0):
        folder.mkdir(exist_ok=True)
    with generation.database.write() as connection:
        connection.execute("DELETE FROM index_files WHERE name = ?", (folder.name,))
