"""What the pages work with, and the few things they can ask to be done.

One instance serves all browser tabs; everything in it is safe between threads.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from app.errors import refuse_changes
from app.models import Models
from app.open_collections import OpenCollections
from app.quality.evaluations import Evaluations, Subject
from app.serving.downloads import Downloads
from app.serving.metrics import Metrics
from app.work.activity import Activity
from app.work.indexing import IndexingWorker
from app.work.job_queue import Job, JobKind, JobQueue
from app.work.upkeep import Upkeep
from app.work.uploads import Upload, UploadFolder
from indexer.collections.library import Collection, Library
from indexer.errors import IndexerError, UsageError
from indexer.evaluation.judged_sets import JudgedSets
from indexer.indexing.discovery import check_roots
from indexer.preview import Previewer
from indexer.searching.collection_searcher import CollectionSearcher
from indexer.searching.search import SearchRequest, SearchResult
from indexer.settings import Settings

__all__ = ["Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the running app.

    Args:
        settings: in force since the app was started.
        library: all collections.
        collections: those that are open.
        models: those that are loaded.
        uploads: the copies of uploaded files.
        queue: jobs that are not done.
        worker: does them.
        upkeep: what is done to collections as a whole.
        metrics: what is counted.
        sets: judged sets that users brought.
        evaluations: what is measured in the background.
        previewer: shows passages in the files that they are from.
        downloads: files that pages offer.
        takes_paths: whether users may name paths of this machine: only where they are on it.
    """

    settings: Settings
    library: Library
    collections: OpenCollections
    models: Models
    uploads: UploadFolder
    queue: JobQueue
    worker: IndexingWorker
    upkeep: Upkeep
    metrics: Metrics
    sets: JudgedSets
    evaluations: Evaluations
    previewer: Previewer
    downloads: Downloads
    takes_paths: bool

    @property
    def is_read_only(self) -> bool:
        """Whether the app searches and shows, and changes nothing."""
        return self.settings.read_only

    def start(self) -> None:
        """Load the default model and go on with the jobs of an earlier run of the app."""
        self.models.start(self.settings.model)
        if not self.is_read_only:
            self.upkeep.sweep()
            self.worker.start()
            self.upkeep.rebuilds.start()

    def close(self) -> None:
        """Stop after the batch at hand and write everything down; may be called twice."""
        self.evaluations.close()
        self.models.close()
        self.previewer.close()
        self.worker.close()
        self.upkeep.rebuilds.close()
        self.upkeep.checks.close()
        self.collections.close()

    def activity(self, collection: str) -> Activity:
        """Say what goes on in a collection."""
        return self.worker.activity().of(collection)

    def search(self, collection: str, request: SearchRequest) -> SearchResult:
        """Search a collection by its own model, waiting for that as long as it takes to load.

        Raises:
            IndexerError, ModelError: the search cannot be made; the message says what to do.
        """
        with self.collections.use(collection) as opened:
            result = self._searcher(opened, request).search(request)
            self._note(opened, result)
        return result

    def refine(self, collection: str, request: SearchRequest) -> Generator[SearchResult]:
        """Yield what each refinement step finds; see ``Searcher.refine``.

        Close the generator in the thread that began it.

        Raises:
            IndexerError, ModelError: as for ``search``.
        """
        with self.collections.use(collection) as opened:
            result: SearchResult | None = None
            with closing(self._searcher(opened, request).refine(request)) as results:
                for result in results:
                    yield result
            if result is not None:
                self._note(opened, result)

    def _searcher(self, opened: Collection, request: SearchRequest) -> CollectionSearcher:
        if request.mode == "lexical" or not request.text.strip():
            return opened.searcher(None)
        embedder = self.models.get(opened.config.model)
        opened.check_model(embedder.info)
        return opened.searcher(lambda: embedder)

    def _note(self, opened: Collection, result: SearchResult) -> None:
        self.metrics.note_search(result)
        if result.steps_ms:
            self.models.note_query(opened.config.model, result.steps_ms)

    def add_uploads(self, collection: str, uploads: Sequence[Upload]) -> list[Path]:
        """Keep copies of uploaded files and queue them.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionNotFoundError: the collection was deleted meanwhile.
            UploadLimitError: a file, or all of them, are more than may be uploaded.
            StorageError: the disk is full. None of the files was kept then.
        """
        self._check_writable()
        with self.collections.use(collection) as opened:
            paths = self.uploads.store(
                self.uploads.claim(collection, opened.id),
                uploads,
                before_commit=lambda paths: self._queue(opened, paths, kind="files"),
            )
        self.worker.notify()
        return paths

    def measure(self, subject: Subject) -> None:
        """Have searches be measured in the background, unless that goes on already.

        Raises:
            ReadOnlyError: the app changes nothing, and keeps nothing.
        """
        self._check_writable()
        self.evaluations.start(subject)

    def create_collection(
        self, name: str, *, model: str | None = None, steps: int | None = None
    ) -> None:
        """Make an empty collection.

        Args:
            name: what to call it.
            model: of its documents and queries; None takes that of the settings.
            steps: refinement steps of its documents; None takes those of the settings.

        Raises:
            ReadOnlyError: the app changes nothing.
            UsageError: the name is taken or impossible, or the model has no such number of steps.
            ModelError: the model is not on this machine.
            StorageError: the disk is full or cannot be written.
        """
        self._check_writable()
        wanted = self.settings.steps if steps is None else steps
        self.library.create(name, model=model or self.settings.model, steps=wanted).close()

    def check_path(self, text: str) -> Path:
        """Return the file or folder of this machine that a user named.

        Args:
            text: its path as typed; ``~`` stands for the home directory.

        Raises:
            UsageError: there is no such path, or it is not to be indexed; says why.
        """
        named = text.strip().strip("\"'")
        if not named:
            raise UsageError("No path was given. Type the path of a file or folder first.")
        try:
            path = Path(named).expanduser()
        except RuntimeError as error:  # the home directory of nobody
            raise UsageError(
                f"{named} is not to be found: this machine knows no such user."
            ) from error
        if not path.is_absolute():
            raise UsageError(
                f"{named} is not an absolute path. Start it with / or with ~ for your home folder."
            )
        (root,) = check_roots([path], home=self.library.home)
        return root.path

    def add_path(self, collection: str, path: Path) -> Job:
        """Queue a file or folder that ``check_path`` returned.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionNotFoundError: the collection was deleted meanwhile.
            StorageError: the queue cannot be written.
        """
        self._check_writable()
        with self.collections.use(collection) as opened:
            job = self._queue(opened, [path], kind="folder" if path.is_dir() else "files")
        self.worker.notify()
        return job

    def retry(self, collection: str, paths: Sequence[Path]) -> None:
        """Read files again that failed.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionNotFoundError: the collection was deleted meanwhile.
            StorageError: the queue cannot be written.
        """
        self._check_writable()
        with self.collections.use(collection) as opened:
            self._queue(opened, paths, kind="files", retries=True)
        self.worker.notify()

    def delete_documents(self, collection: str, document_ids: Sequence[str]) -> int:
        """Remove documents, and the copies of those that were uploaded; return how many.

        Indexing rests meanwhile, for a few seconds at most.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionBusyError: another process is writing to the collection.
        """
        self._check_writable()
        with self.collections.use(collection) as opened, self.worker.resting():
            rows = opened.ledger.get(document_ids)
            removed = opened.delete_documents(document_ids)
        for row in rows.values():
            self.uploads.remove(Path(os.fsdecode(row.path)))
        return removed

    def delete_collection(self, name: str) -> None:
        """Remove a collection with its jobs and uploads; a rebuild of it is given up.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionBusyError: another process is writing to the collection.
        """
        self.upkeep.delete(name)

    def _check_writable(self) -> None:
        refuse_changes(is_read_only=self.is_read_only)

    def _queue(
        self, opened: Collection, paths: Sequence[Path], *, kind: JobKind, retries: bool = False
    ) -> Job:
        """Queue a job for a collection, which keeps its name as long as it is in use.

        It may be deleted all the same. Its jobs are forgotten after its files are gone: either this
        one is among them, or the files are found gone here.
        """
        job = self.queue.add(opened.name, paths, kind=kind, retries=retries)
        try:
            opened.check_alive()
        except IndexerError:
            self.queue.remove(job)
            raise
        return job
