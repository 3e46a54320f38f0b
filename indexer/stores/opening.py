"""Opens the store that a generation is searched with; the one place that knows every kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import FormatVersionError
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database

if TYPE_CHECKING:
    from indexer.collections.generations import GenerationRecord, Generations
    from indexer.stores.base import VectorStore

__all__ = ["announce", "check_configured", "dispose", "open_store", "withdraw"]


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
        StorageError: it is on a server that the settings do not name.
    """
    if record.store == "faiss":
        from indexer.stores.faiss import FaissStore

        return FaissStore(index_directory, database, archive, record.index)
    if record.store == "qdrant":
        from indexer.stores.qdrant.place import open_place

        return open_place(index_directory, database, archive)
    raise FormatVersionError(
        f"{index_directory} belongs to a store {record.store!r} that this program does not know; "
        "upgrade gircse-search, or make another index with `gircse reindex`"
    )


def check_configured(store: str) -> None:
    """Check that the settings say where a store is; asks nobody.

    Raises:
        StorageError: they do not.
    """
    if store == "qdrant":
        from indexer.stores.qdrant.place import check_configured

        check_configured()


def announce(directory: Path, generations: Generations) -> None:
    """Tell what lies outside of a collection's directory which generation is live now.

    What goes wrong is logged, and changes nothing for searches of the collection itself.
    """
    live, previous = generations.live, generations.previous
    if live.store == "qdrant":
        from indexer.stores.qdrant.place import announce

        announce(live.index_directory(directory))
    elif previous is not None and previous.store == "qdrant":
        from indexer.stores.qdrant.place import withdraw

        withdraw(previous.index_directory(directory))


def withdraw(directory: Path, generations: Generations) -> None:
    """Take back what ``announce`` told, before the collection gets another name.

    What goes wrong is logged, and changes nothing for searches of the collection itself.
    """
    if generations.live.store == "qdrant":
        from indexer.stores.qdrant.place import withdraw

        withdraw(generations.live.index_directory(directory))


def dispose(index_directory: Path) -> None:
    """Remove what an index has outside of its folder, which is about to be removed."""
    if (index_directory / "qdrant.json").is_file():
        from indexer.stores.qdrant.place import forget

        forget(index_directory)
