"""One collection: a directory with its generations, one of which is live.

Wires the parts together and decides who may write; what they do is theirs. Safe between threads:
searches go on while one thread indexes, and while another process swaps the live generation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from indexer.collections.config import CollectionConfig, read_identity, vanished
from indexer.collections.live_generation import LiveGeneration
from indexer.collections.model_check import check_model
from indexer.collections.write_lock import WriteLock
from indexer.errors import StaleCollectionError

if TYPE_CHECKING:
    from indexer.collections.generation import Generation
    from indexer.collections.search_defaults import SearchDefaults
    from indexer.embedder import Embedder, ModelInfo
    from indexer.searching.collection_searcher import CollectionSearcher
    from indexer.storage.archive import VectorArchive
    from indexer.storage.database import Database
    from indexer.storage.ledger import Ledger
    from indexer.stores.base import VectorStore

__all__ = ["Collection", "CollectionConfig"]


class Collection:
    """An open collection.

    ``config``, ``database``, ``ledger``, ``archive`` and ``store`` are those of the live
    generation; inside ``using()`` and ``write_lock()`` they all are of one and the same.

    Args:
        directory: ``<home>/collections/<name>``.
        resolve: finds what is known of a model by its name.

    Raises:
        FormatVersionError, StorageError: it cannot be read; the message says what to do.
    """

    def __init__(self, directory: Path, *, resolve: Callable[[str], ModelInfo]) -> None:
        self.directory = directory
        self._resolve = resolve
        self._lock = WriteLock(directory, name=self.name)
        self._live = LiveGeneration(directory)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.directory.name

    @property
    def id(self) -> str:
        """What tells the collection from a later one of the same name."""
        return self._live.identity.id

    @property
    def home(self) -> Path:
        """The program's own directory, which holds this collection among others."""
        return self.directory.parent.parent

    @property
    def config(self) -> CollectionConfig:
        """What the collection and the live generation were made with."""
        return self._live.current().config

    @property
    def database(self) -> Database:
        """Payloads, words, ledger and the map of the vectors."""
        return self._live.current().database

    @property
    def ledger(self) -> Ledger:
        """One row per file that a run has seen."""
        return self._live.current().ledger

    @property
    def archive(self) -> VectorArchive:
        """The vectors."""
        return self._live.current().archive

    @property
    def store(self) -> VectorStore:
        """What is searched; opened when first asked for."""
        return self._live.current().store

    def using(self) -> AbstractContextManager[Generation]:
        """Give the live generation, kept open until the block ends.

        Whatever is swapped meanwhile, all of the block works in this one: blocks inside it get the
        same, and so do this object's properties in this thread.

        Raises:
            CollectionNotFoundError: the collection was deleted, and another made in its place.
            FormatVersionError, StorageError: it cannot be read; the message says what to do.
        """
        return self._live.using()

    def model_info(self) -> ModelInfo:
        """Return what is known of the collection's model, without loading it.

        Raises:
            UsageError: the model is not on this machine any more.
        """
        return self._resolve(self.config.model)

    def searcher(self, embedder: Callable[[], Embedder] | None) -> CollectionSearcher:
        """Return what answers queries on this collection, each in one generation.

        Args:
            embedder: loads the model, or returns the loaded one; None allows lexical search only.
        """
        from indexer.searching.collection_searcher import CollectionSearcher

        return CollectionSearcher(self._live, embedder, name=self.name)

    def query_steps(self) -> int:
        """Return the steps of queries that name none: as tuning found, or as the documents got."""
        with self.using() as generation:
            tuned = generation.search_defaults().steps
            return generation.config.steps if tuned is None else tuned

    def search_defaults(self) -> SearchDefaults:
        """Return how this collection is searched where the user says nothing."""
        with self.using() as generation:
            return generation.search_defaults()

    def set_search_defaults(self, defaults: SearchDefaults) -> None:
        """Make these the collection's own; searches use them from now on.

        Raises:
            CollectionBusyError, StorageError: they could not be written; the old ones hold.
            StaleCollectionError: they were found inside a ``using()`` block for a content that is
                not live any more.
        """
        from indexer.collections.search_defaults import write_search_defaults

        with self.using() as found_for, self._live.using(anew=True) as live:
            if found_for.record.content != live.record.content:
                raise StaleCollectionError(
                    f"collection {self.name!r} was rebuilt as generation {live.record.number} "
                    f"meanwhile, and what was found for generation {found_for.record.number} need "
                    "not hold for it; run the same command again"
                )
            write_search_defaults(live.database, defaults)

    def check_model(self, info: ModelInfo, steps: int | None = None) -> None:
        """Check that vectors made under these settings may join this collection's.

        Args:
            info: the model.
            steps: refinement steps of documents; None stands for the collection's own.

        Raises:
            FingerprintMismatchError: they differ; the message has both values and what mends it.
        """
        check_model(self.config, info, steps, name=self.name)

    def delete_documents(self, document_ids: Sequence[str]) -> int:
        """Remove documents from store and ledger together; return how many there were.

        Their embeddings stay in the archive: adding them again costs no model call.

        Raises:
            CollectionBusyError: another thread or process is writing.
        """
        with self.write_lock("deleting documents") as generation, generation.database.write():
            generation.store.delete(document_ids)
            return generation.ledger.remove(document_ids)

    @contextmanager
    def write_lock(self, purpose: str = "writing") -> Iterator[Generation]:
        """Hold the right to change the collection; a thread that has it may take it again.

        Nobody swaps generations meanwhile: the block gets the live one and works in it as in
        ``using()``.

        Args:
            purpose: what is being done, as others read it.

        Raises:
            CollectionBusyError: another thread or process has it; the message names which.
            CollectionNotFoundError: the collection was deleted since it was opened.
        """
        self.check_alive()  # before a lock file is made where the collection was
        with self._lock.hold(purpose):
            self.check_alive()
            with self._live.using(anew=True) as generation:
                yield generation

    def check_alive(self) -> None:
        """Check that the collection still is where it was opened.

        Raises:
            CollectionNotFoundError: it was deleted or renamed, or another one took its place.
        """
        if self.directory.is_dir() and read_identity(self.directory).id == self.id:
            return
        raise vanished(self.directory, self.id)

    def close(self) -> None:
        """Write what is derived, and release all files; may be called twice."""
        self._live.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
