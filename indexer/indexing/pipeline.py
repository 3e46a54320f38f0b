"""From files to searchable chunks: finds, reads, embeds and stores what is new or changed.

The ledger leads: a file's row says ``ready`` in the same transaction that stores its chunks, and
embeddings are archived before that. Whatever a kill interrupts is done again by the next run, and
what was embedded by then costs no model call.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.extraction import ExtractionLimits
from indexer.indexing.discovery import PathProblem, check_roots, discover, display_path
from indexer.indexing.embedding import EmbeddingWriter
from indexer.indexing.extraction_feed import ExtractionFeed
from indexer.indexing.index_report import (
    Change,
    FileOutcome,
    IndexOptions,
    IndexProgress,
    IndexReport,
    Phase,
)
from indexer.indexing.ingestion import Ingestion
from indexer.indexing.memory_plan import MemoryPlan, plan_memory
from indexer.indexing.planning import WorkItem, file_sha256, find_missing, plan
from indexer.indexing.tally import OnOutcome, OnProgress, Tally
from indexer.indexing.work_list import WorkList

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.indexing.discovery import FileEntry, Root
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.storage.ledger import LedgerRow

__all__ = [
    "Change",
    "FileOutcome",
    "IndexOptions",
    "IndexProgress",
    "IndexReport",
    "Phase",
    "index_paths",
]

_REMOVAL_BATCH = 200


def index_paths(
    collection: Collection,
    paths: Sequence[Path],
    *,
    embedder: Callable[[], DocumentEmbedder],
    options: IndexOptions,
    home: Path | None = None,
    on_progress: OnProgress | None = None,
    on_outcome: OnOutcome | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Bring a collection up to date with files and folders.

    Nothing outside of ``paths`` is touched. A file that cannot be read never ends the run; it is in
    the report with its cause. May run in any thread, one run per collection at a time.

    Args:
        collection: where to.
        paths: files and folders; all of them must exist.
        embedder: loads the collection's model, or returns the loaded one; called, in a thread of
            its own, only when there is something to embed.
        options: how.
        home: the program's own directory, which is never entered; None stands for the collection's.
        on_progress: told where the run is, up to ten times a second.
        on_outcome: told what became of each file, once.
        should_stop: asked between batches; when it says so, the run ends in good order.

    Raises:
        UsageError: a path or pattern is wrong; nothing was done.
        CollectionBusyError: another thread or process is writing to the collection.
        FingerprintMismatchError: ``embedder`` is not the collection's model.
        StorageError: the disk is full or cannot be written. What was ready stays ready, and the
            next run goes on from there.
    """

    def load() -> DocumentEmbedder:
        loaded = embedder()
        collection.check_model(loaded.info)
        return loaded

    # All of a run is in one generation, even if another process swaps it before the lock is ours.
    with collection.using() if options.dry_run else collection.write_lock("indexing") as generation:
        memory = plan_memory(
            options.max_memory_mb * 2**20 if options.max_memory_mb is not None else None,
            jobs=options.jobs,
            limits=options.limits or ExtractionLimits(),
            dim=generation.config.dim,
            lanes=options.lanes,
        )
        writer = EmbeddingWriter(
            generation.archive,
            load,
            steps=generation.config.steps,
            lanes=options.lanes,
            largest_slice=memory.largest_slice,
        )
        tally = Tally(writer, on_progress, on_outcome)
        run = _Run(collection, writer, tally, options, memory, should_stop)
        run.look_at(paths, home=home or collection.home)
        if options.dry_run:
            run.foresee()
        else:
            run.index()
    return tally.report(interrupted=run.interrupted, dry_run=options.dry_run)


class _Run:
    """One call of ``index_paths``."""

    def __init__(
        self,
        collection: Collection,
        writer: EmbeddingWriter,
        tally: Tally,
        options: IndexOptions,
        memory: MemoryPlan,
        should_stop: Callable[[], bool],
    ) -> None:
        self.interrupted = False
        self._collection = collection
        self._writer = writer
        self._tally = tally
        self._options = options
        self._memory = memory
        self._should_stop = should_stop
        self._started_ns = time.time_ns()
        self._roots: Sequence[Root] = ()
        self._found: Iterable[FileEntry] = ()

    def look_at(self, paths: Sequence[Path], *, home: Path) -> None:
        """Say which files the run is about."""
        self._roots = check_roots(paths, home=home)
        self._found = discover(
            paths,
            include=self._options.include,
            exclude=self._options.exclude,
            home=home,
            on_problem=self._note_problem,
            within=self._options.within,
        )

    def index(self) -> None:
        self._tally.enter("discovering")
        with WorkList(self._collection.directory) as work:
            for items in self._plan():
                self._collection.ledger.queue([item.entry for item in items])
                work.extend(items)
            if work and not self._stops():
                self._tally.enter("indexing")
                self._ingest(work)
            is_changed = len(work) > 0
        if not self._stops():
            self._tally.enter("removing")
            self._settle_missing()
        if is_changed and self._options.flush:
            self._tally.enter("finishing")
            self._collection.store.flush()

    def foresee(self) -> None:
        """Account for every file without writing anything."""
        self._tally.enter("discovering")
        for items in self._plan():
            for item in items:
                self._tally.account(_foreseen(item))
        if not self._stops():
            self._settle_missing()

    def _stops(self) -> bool:
        self.interrupted = self.interrupted or self._should_stop()
        return self.interrupted

    def _plan(self) -> Iterator[list[WorkItem]]:
        given = frozenset(root.path for root in self._roots if not root.is_folder)
        batches = plan(self._found, self._collection.ledger, options=self._options, given=given)
        for batch in batches:
            self._tally.found(len(batch))
            for decided in batch:
                if isinstance(decided, FileOutcome):
                    self._tally.account(decided)
            yield [decided for decided in batch if isinstance(decided, WorkItem)]
            if self._stops():
                return

    def _note_problem(self, problem: PathProblem) -> None:
        self._tally.found(1)
        self._tally.account(
            FileOutcome(
                source=display_path(problem.path),
                state="skipped" if problem.code == "broken_link" else "failed",
                code=problem.code,
                message=problem.message,
                hint=problem.hint,
            )
        )

    def _ingest(self, work: WorkList) -> None:
        collection = self._collection
        if self._memory.note:
            self._tally.notes.append(self._memory.note)
        ingestion = Ingestion(
            collection,
            self._writer,
            self._tally,
            should_stop=self._stops,
            started_ns=self._started_ns,
            most_bytes=self._memory.group_bytes,
        )
        with (self._options.open_feed or self._open_feed)(work, self._memory) as feed:
            ingestion.run(feed)

    def _open_feed(self, work: Iterable[WorkItem], memory: MemoryPlan) -> ExtractionFeed:
        return ExtractionFeed(
            work,
            tokenizer_file=self._collection.model_info().tokenizer_file,
            chunking=self._collection.config.chunking,
            memory=memory,
        )

    def _settle_missing(self) -> None:
        """Remove what is gone, or say that it is, depending on the options."""
        doubted: Counter[Path] = Counter()
        gone: list[LedgerRow] = []
        for missing in find_missing(
            self._collection.ledger, self._roots, within=self._options.within
        ):
            if not self._options.prune:
                self._tally.account(_gone(missing.row, "missing"))
            elif missing.empty_folder is not None:
                doubted[missing.empty_folder] += 1
                self._tally.keep(_gone(missing.row, "missing"))
            else:
                gone.append(missing.row)
            if len(gone) == _REMOVAL_BATCH:
                self._remove(gone)
                gone = []
        if gone:
            self._remove(gone)
        self._tally.notes.extend(_doubt(folder, count) for folder, count in doubted.items())

    def _remove(self, rows: Sequence[LedgerRow]) -> None:
        collection = self._collection
        if not self._options.dry_run:
            ids = [row.document_id for row in rows]
            with collection.database.write():
                if any(row.chunks for row in rows):
                    collection.store.delete(ids)
                collection.ledger.remove(ids)
        for row in rows:
            self._tally.account(_gone(row, "removed"))


def _foreseen(item: WorkItem) -> FileOutcome:
    change: Change = "new"
    if item.stored_sha256 is not None:
        is_same = file_sha256(item.entry.path) == item.stored_sha256
        change = "unchanged" if is_same else "updated"
    return FileOutcome(
        source=item.entry.source, state="queued", change=change, document_id=item.document_id
    )


def _gone(row: LedgerRow, change: Change) -> FileOutcome:
    return FileOutcome(
        source=row.source,
        state=row.state,
        change=change,
        chunks=row.chunks,
        document_id=row.document_id,
    )


def _doubt(folder: Path, count: int) -> str:
    return (
        f"{count} missing files were not removed: their folder {display_path(folder)} is empty, "
        "as that of a drive that is not mounted. Mount it; or, if they are gone for good, remove "
        "the empty folder and run again, or use `gircse documents delete`"
    )
