"""Rebuilds a collection beside its live generation, and swaps the new one in.

In this order: documents are embedded into a new content where the vectors shall change; an index is
built over the vectors; what was built is measured and probed; then, under the write lock, what
changed meanwhile is taken in and the pointer is replaced. Until then the live generation serves
searches and takes documents as if nothing were going on; afterwards it is the previous one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from indexer.collections.generation import Generation
from indexer.collections.generations import GenerationRecord, next_number, sweep
from indexer.embedder import model_info
from indexer.errors import IndexerError, StorageError
from indexer.reindexing.drafts import discard_drafts, find_draft, finish_draft, make_draft
from indexer.reindexing.filling import ContentFilling, Reader
from indexer.reindexing.indexing import build_index, choose_index
from indexer.reindexing.plan import ReindexPlan, make_plan
from indexer.reindexing.progress import OnReindexProgress, ReindexProgress, Stopwatch
from indexer.reindexing.rebuild_note import RebuildRight
from indexer.reindexing.report import Outcome, ReindexReport
from indexer.reindexing.space import check_space, needed_bytes
from indexer.reindexing.stopping import StopSign
from indexer.reindexing.swapping import Swap

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.embedder import ModelInfo
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.reindexing.request import ReindexRequest

__all__ = ["plan_reindex", "reindex"]


def plan_reindex(
    collection: Collection,
    request: ReindexRequest,
    *,
    resolve: Callable[[str], ModelInfo] = model_info,
) -> ReindexReport:
    """Return what ``reindex`` would do; writes nothing.

    Raises:
        UsageError: the request makes no sense for this collection.
        ModelError: the model is not on this machine.
    """
    with collection.using() as live:
        plan = make_plan(collection.directory, live, request, resolve=resolve)
        totals = live.ledger.totals()
        return ReindexReport(
            outcome="planned",
            plan=plan,
            before=live.record,
            after=None,
            chosen=choose_index(
                live.record, plan.wish, live.record, count=totals.chunks, dim=plan.settings.dim
            ),
            documents=totals.documents,
            chunks=totals.chunks,
            needed_bytes=needed_bytes(collection.directory, live, plan),
            notes=plan.notes,
        )


def reindex(
    collection: Collection,
    request: ReindexRequest,
    *,
    embedder: Callable[[str], DocumentEmbedder],
    resolve: Callable[[str], ModelInfo] = model_info,
    lanes: int = 1,
    on_progress: OnReindexProgress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    log: str = "",
) -> ReindexReport:
    """Rebuild a collection and make the result its live generation.

    May run in any thread, one rebuild per collection at a time; searches and indexing go on.

    Args:
        collection: which.
        request: what shall change.
        embedder: loads a model by its name; called only when there is something to embed.
        resolve: finds what is known of a model by its name.
        lanes: calls of the model that may run at once: one for each device.
        on_progress: told where the rebuild is, up to ten times a second.
        should_stop: asked between batches; when it says so, the rebuild ends in good order, and the
            next call goes on with what was embedded.
        log: file with the output of this process, for onlookers; empty where it has a terminal.

    Raises:
        UsageError: the request makes no sense for this collection.
        ModelError: the model is not on this machine.
        CollectionBusyError: the collection is being rebuilt already, or was rolled back meanwhile.
        CollectionNotFoundError: the collection was deleted meanwhile.
        StorageError: the disk is full or cannot be written, or what was built is not sound. The
            live generation is as it was, and the next call goes on with what was embedded.
    """
    right = RebuildRight(collection.directory)

    def tell(progress: ReindexProgress) -> None:
        right.tell(progress)
        if on_progress is not None:
            on_progress(progress)

    with right.hold(log=log), collection.using() as live:
        plan = make_plan(collection.directory, live, request, resolve=resolve)
        right.describe(purpose_text(plan), keeps_work=plan.makes_content)
        check_space(collection.directory, needed_bytes(collection.directory, live, plan))
        run = _Rebuild(
            collection,
            live,
            plan,
            reader=Reader(plan.settings, embedder=embedder, resolve=resolve, lanes=lanes),
            watch=Stopwatch(tell),
            should_stop=StopSign(collection, right, should_stop),
        )
        run.rebuild()
        outcome: Outcome = "done" if run.after is not None else "stopped"
        if outcome == "stopped":
            right.stop()
            if right.is_cancelled:
                discard_drafts(collection.directory)
                outcome = "cancelled"
        return run.report(outcome)


def purpose_text(plan: ReindexPlan) -> str:
    """Return what a rebuild changes, in a few words."""
    if plan.makes_content:
        return f"storing everything anew ({'; '.join(plan.changes)})"
    wish = plan.wish
    store = "" if wish.store is None else f" on {wish.store}"
    return f"building {wish.index or 'its'} index{store}"


class _Rebuild:
    """One call of ``reindex``."""

    def __init__(
        self,
        collection: Collection,
        live: Generation,
        plan: ReindexPlan,
        *,
        reader: Reader,
        watch: Stopwatch,
        should_stop: Callable[[], bool],
    ) -> None:
        self.after: GenerationRecord | None = None
        self._collection = collection
        self._directory = collection.directory
        self._live = live
        self._plan = plan
        self._reader = reader
        self._watch = watch
        self._should_stop = should_stop
        self._fillings: list[ContentFilling] = []
        self._chunks = live.ledger.totals().chunks

    def rebuild(self) -> None:
        """Build the new generation and swap it in, unless stopped; ``after`` tells."""
        keep = set()
        if self._plan.draft is not None:
            keep.add(self._plan.draft.content)
        sweep(self._directory, keep=keep)
        try:
            record = self._filled() if self._plan.makes_content else self._over_live_content()
            if record is not None:
                self._index(record)
        except StorageError:
            self._collection.check_alive()  # files of a deleted collection are not damaged
            raise
        finally:
            with suppress(IndexerError):  # what is left goes when the next rebuild begins
                draft = find_draft(self._directory)
                sweep(self._directory, keep={draft.content} if draft is not None else ())

    def report(self, outcome: Outcome) -> ReindexReport:
        """Return the end of the run."""
        notes = list(self._plan.notes)
        is_dropped = self.after is not None and not _keeps_defaults(self._plan)
        if is_dropped and self._live.search_defaults():
            notes.append(
                "What `gircse tune` found was for the old vectors and is dropped; tune again."
            )
        if self.after is not None and self.after.store == "faiss":
            from indexer.stores.gpu import device_text

            notes.append(f"{device_text()}.")
        return ReindexReport(
            outcome=outcome,
            plan=self._plan,
            before=self._live.record,
            after=self.after,
            documents=self._live.ledger.totals().documents,
            chunks=self._chunks,
            embedded=sum(filling.embedded for filling in self._fillings),
            reused=sum(filling.reused for filling in self._fillings),
            seconds=self._watch.seconds,
            model_seconds=sum(filling.model_seconds for filling in self._fillings),
            notes=tuple(notes),
        )

    def _over_live_content(self) -> GenerationRecord:
        return GenerationRecord(next_number(self._directory), self._live.record.content)

    def _filled(self) -> GenerationRecord | None:
        """Embed all documents into a draft's content; None when stopped."""
        plan = self._plan
        draft = plan.draft or make_draft(self._directory, plan.settings, plan.wish)
        record = GenerationRecord(int(draft.content.rpartition("-")[2]), draft.content)
        with closing(Generation(self._directory, record)) as content:
            return record if self._filling(content).fill() else None

    def _filling(self, content: Generation) -> ContentFilling:
        filling = ContentFilling(
            self._live,
            content,
            self._plan,
            reader=self._reader,
            watch=self._watch,
            should_stop=self._should_stop,
        )
        self._fillings.append(filling)
        return filling

    def _index(self, record: GenerationRecord) -> None:
        with closing(self._open_chosen(record)) as built:
            measured = build_index(
                built, self._plan.wish, watch=self._watch, should_stop=self._should_stop
            )
            if measured is None:
                return
            swap = Swap(
                self._collection,
                self._live,
                built,
                filling=self._filling(built) if self._plan.makes_content else None,
                keeps_defaults=_keeps_defaults(self._plan),
                watch=self._watch,
                should_stop=self._should_stop,
            )
            self.after = swap.swap_in(measured)
            self._chunks = len(built.store)
        if self.after is not None:
            finish_draft(self._directory, self.after.content)

    def _open_chosen(self, record: GenerationRecord) -> Generation:
        with closing(Generation(self._directory, record)) as content:
            count, dim = content.ledger.totals().chunks, content.config.dim
        wish, live = self._plan.wish, self._live.record
        return Generation(self._directory, choose_index(record, wish, live, count=count, dim=dim))


def _keeps_defaults(plan: ReindexPlan) -> bool:
    """Return whether what tuning found for searches holds: it does not for other vectors."""
    return not plan.makes_content or plan.shares_vectors
