"""Opens the store that a generation is searched with; the one place that knows every kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.archive import VectorArchive
from indexer.database import Database
from indexer.errors import FormatVersionError

if TYPE_CHECKING:
    from indexer.generations import GenerationRecord
    from indexer.stores.base import VectorStore

__all__ = ["open_store"]


def open_store(
    record: GenerationRecord, index_directory: Path, database: Database, archive: VectorArchive
) -> VectorStore:
    """Open the store of a generation.

    Args:
        record: says which kind of store and index.
        index_directory: where the index is.
        database: the content's database; stays the caller's to close, as does the archive.
        archive: the content's vectors.

    Raises:
        FormatVersionError: a newer version of the program made it.
    """
    if record.store == "faiss":
        from indexer.stores.faiss import FaissStore

        return FaissStore(index_directory, database, archive)
    raise FormatVersionError(
        f"{index_directory} belongs to a store {record.store!r} that this program does not know; "
        "upgrade gircse-search, or make another index with `gircse reindex`"
    )
