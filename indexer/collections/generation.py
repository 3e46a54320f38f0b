"""One generation of a collection, open: its database, ledger, vectors and searchable store.

Knows nothing of other generations; ``indexer.collections.generations`` tells which one is live.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.config import (
    DATABASE_FILE,
    CollectionConfig,
    ContentSettings,
    read_config,
    write_settings,
)
from indexer.errors import StorageError
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.storage.ledger import Ledger
from indexer.storage.segments import disk_errors, sync_folder

if TYPE_CHECKING:
    from indexer.collections.generations import GenerationRecord
    from indexer.collections.search_defaults import SearchDefaults
    from indexer.stores.base import VectorStore

__all__ = ["Generation", "make_content"]


class Generation:
    """An open generation, published or still a draft. Safe to share between threads.

    Args:
        collection: the collection's directory.
        record: which generation.

    Attributes:
        record: which generation it is.
        config: the collection's identity with the settings of this content.
        directory: folder of the content.
        index_directory: folder of the index.
        database: payloads, words, ledger and the map of the vectors.
        ledger: one row per file.
        archive: the vectors.

    Raises:
        FormatVersionError, StorageError: it cannot be read; the message says what to do.
    """

    def __init__(self, collection: Path, record: GenerationRecord) -> None:
        self.record = record
        self.directory = record.content_directory(collection)
        self.index_directory = record.index_directory(collection)
        self.config: CollectionConfig = read_config(collection, self.directory)
        path = self.directory / DATABASE_FILE
        if not path.is_file():
            name = collection.name
            raise StorageError(
                f"{path} is missing, so collection {name!r} cannot be used; "
                f"`gircse verify {name}` tells what to do"
            )
        self.database = Database(path)
        self.ledger = Ledger(self.database)
        try:
            self.archive = VectorArchive(
                self.directory, self.database, dim=self.config.dim, vectors=self.config.vectors
            )
        except BaseException:
            self.database.close()
            raise
        self._store: VectorStore | None = None
        self._opening = threading.Lock()

    @property
    def store(self) -> VectorStore:
        """What is searched; opened when first asked for."""
        from indexer.stores.opening import open_store

        with self._opening:
            if self._store is None:
                self._store = open_store(
                    self.record, self.index_directory, self.database, self.archive
                )
            return self._store

    @property
    def is_gone(self) -> bool:
        """Whether its files were removed since it was opened."""
        return not (self.directory.is_dir() and self.index_directory.is_dir())

    def search_defaults(self) -> SearchDefaults:
        """Return how it is searched where the user says nothing."""
        from indexer.collections.search_defaults import read_search_defaults

        return read_search_defaults(self.database)

    def query_defaults(self) -> SearchDefaults:
        """Return the same with the documents' own steps where tuning found no others."""
        defaults = self.search_defaults()
        return (
            defaults if defaults.steps is not None else replace(defaults, steps=self.config.steps)
        )

    def close(self) -> None:
        """Write what is derived, and release all files; may be called twice."""
        with self._opening:
            if self._store is not None:
                self._store.close()
                self._store = None
        self.archive.close()
        self.database.close()


def make_content(folder: Path, settings: ContentSettings) -> None:
    """Make an empty content in a new folder.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with disk_errors(folder, needed=0):
        folder.mkdir()
    write_settings(folder, settings)
    Database(folder / DATABASE_FILE).close()
    with disk_errors(folder, needed=0):
        sync_folder(folder)
        sync_folder(folder.parent)
