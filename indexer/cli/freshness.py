"""Whether the files behind search results are still as they were indexed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from indexer.file_times import modified_ns

if TYPE_CHECKING:
    from indexer.storage.ledger import Ledger, LedgerRow

__all__ = ["FileState", "file_states", "freshness_note"]

FileState = Literal["current", "changed", "missing"]


def file_states(ledger: Ledger, document_ids: Sequence[str]) -> list[FileState]:
    """Return for each document what became of its file; one look at each file's stamps, no more."""
    rows = ledger.get(list(dict.fromkeys(document_ids)))
    states = {id: _file_state(row) for id, row in rows.items()}
    # A document that no run brought in has no file to compare with.
    return [states.get(id, "current") for id in document_ids]


def _file_state(row: LedgerRow) -> FileState:
    try:
        status = os.stat(row.path)  # noqa: PTH116 - the path's own bytes, which Path does not take
    except OSError:
        return "missing"
    if row.state != "ready" or status.st_size != row.size:
        return "changed"
    # Where the time of the indexed file proved nothing, the size has to do.
    same_time = row.mtime_ns is None or row.mtime_ns == modified_ns(status)
    return "current" if same_time else "changed"


def freshness_note(states: Sequence[FileState], *, collection: str) -> str | None:
    """Return what to tell the user about files that are no longer as indexed, if any are."""
    changed, missing = states.count("changed"), states.count("missing")
    if not changed and not missing:
        return None
    parts = [f"{changed} changed" if changed else "", f"{missing} gone" if missing else ""]
    prune = " --prune" if missing else ""
    return (
        f"of the files found here, {' and '.join(part for part in parts if part)} since they were"
        f" indexed; bring the collection up to date: gircse index FOLDER -c {collection}{prune}"
    )
