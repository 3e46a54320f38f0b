"""Gives up a rebuild, whether it runs or was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.collections.generations import sweep
from indexer.reindexing.drafts import discard_drafts
from indexer.reindexing.rebuild_note import RebuildRight, ask_to_cancel, read_note

if TYPE_CHECKING:
    from indexer.collections.collection import Collection

__all__ = ["cancel_rebuild"]


def cancel_rebuild(collection: Collection, *, timeout_s: float) -> bool:
    """Stop the process that rebuilds a collection, and throw away what rebuilds left unfinished.

    Args:
        collection: which.
        timeout_s: how long to wait for that process.

    Returns:
        Whether there was anything to give up.

    Raises:
        CollectionBusyError: the process did not end in time.
    """
    directory = collection.directory
    was_there = read_note(directory) is not None
    ask_to_cancel(directory, timeout_s=timeout_s)
    with RebuildRight(directory).hold():  # the note of what failed or was stopped goes with it
        drafts = discard_drafts(directory)
        sweep(directory)
    return was_there or bool(drafts)
