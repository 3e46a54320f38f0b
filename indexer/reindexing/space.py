"""Whether a rebuild fits on the disk, found out before hours are spent on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import StorageError
from indexer.reindexing.request import AUTO
from indexer.storage.segments import disk_errors
from indexer.stores.index_types import DEFAULT_INDEX_TYPE, index_type_named
from indexer.wording import size_text

if TYPE_CHECKING:
    from indexer.collections.generation import Generation
    from indexer.reindexing.plan import ReindexPlan

__all__ = ["check_space", "needed_bytes"]

_BYTES_PER_NUMBER = {"fp32": 4, "fp16": 2}


def needed_bytes(directory: Path, live: Generation, plan: ReindexPlan) -> int:
    """Return about how many bytes a rebuild adds to a collection's directory.

    Args:
        directory: the collection's directory.
        live: its live generation.
        plan: the rebuild; what a draft holds by now is not counted again.
    """
    settings, chunks = plan.settings, live.ledger.totals().chunks
    total = 0
    if (plan.wish.store or live.record.store) == "faiss":
        named = plan.wish.index or live.record.index
        kind = index_type_named(DEFAULT_INDEX_TYPE if named == AUTO else named)
        total += chunks * kind.vector_bytes(settings.dim)
    if plan.makes_content:
        total += live.database.path.stat().st_size
        total += chunks * settings.dim * _BYTES_PER_NUMBER[settings.vectors]
        if plan.draft is not None:
            total -= _size(directory / plan.draft.content)
    return max(total, 0)


def check_space(directory: Path, needed: int) -> None:
    """Check that a disk has room.

    Raises:
        StorageError: it has less than ``needed`` bytes.
    """
    with disk_errors(directory, needed=needed):
        free = shutil.disk_usage(directory).free
    if free < needed:
        raise StorageError(
            f"{directory}: the rebuild needs about {size_text(needed)}, and {size_text(free)} are "
            "free; free some space and run it again (the previous generation, if there is one, "
            "goes as soon as the new one is live)"
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
