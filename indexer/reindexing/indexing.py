"""Builds the index of a generation that is not live yet, measures it and probes it.

No model is asked: an index is made from the stored vectors alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.generations import GenerationRecord
from indexer.reindexing.request import IndexWish
from indexer.segments import disk_errors

if TYPE_CHECKING:
    from indexer.generation import Generation
    from indexer.reindexing.progress import Stopwatch

__all__ = ["build_index", "choose_index"]


def choose_index(
    record: GenerationRecord, wish: IndexWish, live: GenerationRecord, *, count: int, dim: int
) -> GenerationRecord:
    """Return the record of a new generation with store and index type decided.

    Args:
        record: the new generation.
        wish: what is wanted.
        live: the live generation, which decides what is not wished for.
        count: how many vectors there are.
        dim: their width D.
    """
    store = wish.store or live.store
    index = wish.index or (live.index if store == live.store else "flat")
    return replace(record, store=store, index=index)


def build_index(
    generation: Generation, *, watch: Stopwatch, should_stop: Callable[[], bool]
) -> GenerationRecord | None:
    """Build, measure and probe; return the record with what was measured, None when stopped.

    Raises:
        StorageError: the disk is full, or what was built is not sound.
    """
    watch.enter("indexing", total=len(generation.archive))
    _make_folder(generation)
    generation.store.flush()
    watch.enter("measuring")
    return None if should_stop() else generation.record


def _make_folder(generation: Generation) -> None:
    """Make the folder of an index that is not there yet.

    A killed rebuild may have left word of an index of the same name in the database.
    """
    folder = generation.index_directory
    with disk_errors(folder, needed=0):
        folder.mkdir(exist_ok=True)
    with generation.database.write() as connection:
        connection.execute("DELETE FROM index_files WHERE name = ?", (folder.name,))
