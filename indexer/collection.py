"""One collection: a directory with its settings, ledger, embeddings and searchable store.

Wires the parts together and decides who may write; what they do is theirs. Safe between threads:
searches go on while one thread indexes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from indexer.archive import VectorArchive
from indexer.collection_config import DATABASE_FILE, CollectionConfig, read_config
from indexer.database import Database
from indexer.errors import (
    CollectionNotFoundError,
    FingerprintMismatchError,
    StorageError,
)
from indexer.fingerprint import Fingerprint
from indexer.ledger import Ledger
from indexer.write_lock import WriteLock

if TYPE_CHECKING:
    from indexer.chunking import ChunkingConfig
    from indexer.embedder import Embedder, ModelInfo
    from indexer.search import Searcher
    from indexer.search_defaults import SearchDefaults
    from indexer.stores.base import VectorStore

__all__ = ["Collection", "CollectionConfig"]


class Collection:
    """An open collection.

    Args:
        directory: ``<home>/collections/<name>``.
        resolve: finds what is known of a model by its name.

    Raises:
        FormatVersionError, StorageError: it cannot be read; the message says what to do.
    """

    def __init__(self, directory: Path, *, resolve: Callable[[str], ModelInfo]) -> None:
        self.directory = directory
        self.config = read_config(directory)
        path = directory / DATABASE_FILE
        if not path.is_file():
            raise StorageError(
                f"{path} is missing, so collection {self.name!r} cannot be used; restore it from "
                f"a backup, or run `gircse collections delete {self.name}` and index again"
            )
        self.database = Database(path)
        self.ledger = Ledger(self.database)
        try:
            self.archive = VectorArchive(directory, self.database, dim=self.config.dim)
        except BaseException:
            self.database.close()
            raise
        self._resolve = resolve
        self._lock = WriteLock(directory, name=self.name)
        self._store: VectorStore | None = None
        self._opening = threading.Lock()

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.directory.name

    @property
    def home(self) -> Path:
        """The program's own directory, which holds this collection among others."""
        return self.directory.parent.parent

    @property
    def store(self) -> VectorStore:
        """What is searched; opened when first asked for."""
        with self._opening:
            if self._store is None:
                from indexer.stores.faiss import FaissStore

                self._store = FaissStore(self.directory, self.database, self.archive)
            return self._store

    def model_info(self) -> ModelInfo:
        """Return what is known of the collection's model, without loading it.

        Raises:
            UsageError: the model is not on this machine any more.
        """
        return self._resolve(self.config.model)

    def searcher(self, embedder: Callable[[], Embedder] | None) -> Searcher:
        """Return what answers queries on this collection.

        Args:
            embedder: loads the model, or returns the loaded one; None allows lexical search only.
        """
        from indexer.search import Searcher

        defaults = replace(self.search_defaults(), steps=self.query_steps())
        return Searcher(self.store, embedder, self.config.fingerprint, defaults=defaults)

    def query_steps(self) -> int:
        """Return the steps of queries that name none: as tuning found, or as the documents got."""
        tuned = self.search_defaults().steps
        return self.config.steps if tuned is None else tuned

    def search_defaults(self) -> SearchDefaults:
        """Return how this collection is searched where the user says nothing."""
        from indexer.search_defaults import read_search_defaults

        return read_search_defaults(self.database)

    def set_search_defaults(self, defaults: SearchDefaults) -> None:
        """Make these the collection's own; searches use them from now on.

        Raises:
            CollectionBusyError, StorageError: they could not be written; the old ones hold.
        """
        from indexer.search_defaults import write_search_defaults

        write_search_defaults(self.database, defaults)

    def check_model(
        self,
        info: ModelInfo,
        steps: int | None = None,
        *,
        chunking: ChunkingConfig | None = None,
    ) -> None:
        """Check that vectors made under these settings may join this collection's.

        Args:
            info: the model.
            steps: refinement steps of documents; None stands for the collection's own.
            chunking: how documents would be cut; None stands for the collection's own.

        Raises:
            FingerprintMismatchError: they differ; the message has both values and what mends it.
        """
        mine = self.config.fingerprint
        asked = Fingerprint(
            info.fingerprint(),
            mine.steps if steps is None else steps,
            mine.chunking if chunking is None else chunking.as_dict(),
        )
        differences = mine.differences(asked)
        if differences:
            if info.name != self.config.model:
                differences.insert(0, f"model: {self.config.model} / {info.name}")
            lines = "".join(f"\n  {line}" for line in differences)
            raise FingerprintMismatchError(
                f"collection {self.name!r} was made with other settings than asked for; their "
                f"vectors cannot be compared (collection / asked for):{lines}\n"
                f"{self._mending(info, asked)}"
            )

    def _mending(self, info: ModelInfo, asked: Fingerprint) -> str:
        mine = self.config.fingerprint
        flags = []
        if info.name != self.config.model:
            flags.append(f"--model {self.config.model}")
        if asked.steps != mine.steps:
            flags.append(f"--steps {mine.steps}")
        ways = ["index into another collection: gircse index PATH --collection OTHER"]
        if flags:
            ways.insert(0, f"use what the collection was made with: {' '.join(flags)}")
        ways.append(
            f"make it anew: gircse collections delete {self.name}, then gircse index PATH "
            f"--collection {self.name}"
        )
        return "Either " + "\n    or ".join(ways)

    def delete_documents(self, document_ids: Sequence[str]) -> int:
        """Remove documents from store and ledger together; return how many there were.

        Their embeddings stay in the archive: adding them again costs no model call.

        Raises:
            CollectionBusyError: another thread or process is writing.
        """
        with self.write_lock("deleting documents"), self.database.write():
            self.store.delete(document_ids)
            return self.ledger.remove(document_ids)

    @contextmanager
    def write_lock(self, purpose: str = "writing") -> Iterator[None]:
        """Hold the right to change the collection; a thread that has it may take it again.

        Args:
            purpose: what is being done, as others read it.

        Raises:
            CollectionBusyError: another thread or process has it; the message names which.
            CollectionNotFoundError: the collection was deleted since it was opened.
        """
        self.check_alive()  # before a lock file is made where the collection was
        with self._lock.hold(purpose):
            self.check_alive()
            yield

    def check_alive(self) -> None:
        """Check that the collection still is where it was opened.

        Raises:
            CollectionNotFoundError: it was deleted, or another one took its place.
        """
        if self.directory.is_dir() and read_config(self.directory).id == self.config.id:
            return
        raise CollectionNotFoundError(
            f"collection {self.name!r} was deleted from {self.directory} meanwhile; "
            f"run `gircse index PATH --collection {self.name}` to make it again"
        )

    def close(self) -> None:
        """Write what is derived, and release all files; may be called twice."""
        with self._opening:
            if self._store is not None:
                self._store.close()
                self._store = None
        self.archive.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
