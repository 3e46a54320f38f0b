"""Runs an indexing run on a cluster: the ordinary run, with other readers and another embedder."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.distributed import SHARDS_FOLDER
from indexer.distributed.cluster import RayCluster
from indexer.distributed.feed import RayFeed, RunPortions
from indexer.distributed.job import RayJob, plan_pools
from indexer.distributed.known import write_known
from indexer.distributed.rows import Receipt
from indexer.distributed.shard_box import ShardBox
from indexer.distributed.shard_embedder import ShardEmbedder
from indexer.distributed.work import ClusterModel, Job
from indexer.documents import text_hash
from indexer.extraction import ExtractionLimits
from indexer.extraction.protocol import pack_path
from indexer.indexing.pipeline import IndexOptions, IndexReport, index_paths

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.indexing.index_report import FileOutcome
    from indexer.indexing.memory_plan import MemoryPlan
    from indexer.indexing.planning import WorkItem
    from indexer.indexing.tally import OnOutcome, OnProgress
    from indexer.storage.archive import VectorArchive

__all__ = ["RayEngine"]


class RayEngine:
    """Indexes into one collection by a cluster; for one run.

    Args:
        collection: where to.
        cluster: where files are read and embedded; started when there is something to do.
        model: how the machines of the cluster, and if need be this one, get the model.
        jobs: processes that read files; None chooses by the cluster's size.
        use_gpus: whether the model may run on the cluster's GPUs.
        shards: folder that all machines share; None takes one in the collection's own.
        on_start: called before the cluster is started.
        on_note: told once where the cluster is.
    """

    def __init__(
        self,
        collection: Collection,
        cluster: RayCluster,
        *,
        model: ClusterModel,
        jobs: int | None = None,
        use_gpus: bool = True,
        shards: Path | None = None,
        on_start: Callable[[], None] = lambda: None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._collection = collection
        self._cluster = cluster
        self._model = model
        self._jobs = jobs
        self._use_gpus = use_gpus
        self._shards = (
            collection.directory / SHARDS_FOLDER if shards is None else shards / collection.id
        )
        self._on_start = on_start
        self._on_note = on_note
        self._box: ShardBox | None = None
        self._roots: tuple[str, ...] = ()
        self._started_ns = time.time_ns()

    def index(
        self,
        paths: Sequence[Path],
        *,
        options: IndexOptions,
        home: Path | None = None,
        on_progress: OnProgress | None = None,
        on_outcome: OnOutcome | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> IndexReport:
        """Bring the collection up to date with files and folders, as ``index_paths`` does.

        Raises:
            ClusterError: the cluster cannot do the work; what was stored stays, and shards that
                were finished are taken in by the next run.
        """
        self._roots = tuple(pack_path(path.resolve()) for path in paths)

        def note_outcome(outcome: FileOutcome) -> None:
            if self._box is not None:
                self._box.settle(outcome.document_id)
            if on_outcome is not None:
                on_outcome(outcome)

        report = index_paths(
            self._collection,
            paths,
            embedder=self._embedder,
            options=replace(options, open_feed=self._open_feed),
            home=home,
            on_progress=on_progress,
            on_outcome=note_outcome,
            should_stop=should_stop,
        )
        if self._box is None:
            return report
        return replace(report, model_seconds=report.model_seconds + self._box.model_seconds)

    def _embedder(self) -> ShardEmbedder:
        def load() -> DocumentEmbedder:
            model = self._model.load()
            self._collection.check_model(model.info)
            return model

        assert self._box is not None
        return ShardEmbedder(self._collection.model_info(), self._box.vector, load)

    def _open_feed(self, items: Iterable[WorkItem], memory: MemoryPlan) -> RayFeed:
        with self._collection.using() as generation:
            ledger, archive, config = generation.ledger, generation.archive, generation.config
        fingerprint = config.fingerprint.as_dict()
        run = uuid.uuid4().hex
        made_for = _digest(fingerprint, memory.limits)
        self._box = box = ShardBox(self._shards, run=run, made_for=made_for)
        job = Job(
            id=run,
            model=self._model,
            fingerprint=fingerprint,
            dim=config.dim,
            limits=memory.limits,
            roots=self._roots,
            shards=pack_path(box.folder.resolve()),
            made_for=made_for,
            started_ns=self._started_ns,
        )
        return RayFeed(
            items,
            box=box,
            begin=self._begin,
            run=self._runner(job, archive),
            stop=self._cluster.stop,
            settled=lambda: box.sweep(ledger),
        )

    def _runner(self, job: Job, archive: VectorArchive) -> RunPortions:
        started: list[RayJob] = []  # only when there is something to do

        def run(work: list[list[WorkItem]]) -> Iterator[Receipt]:
            if not started:
                started.append(self._job(job, archive))
            yield from started[0].run(work)

        return run

    def _begin(self) -> None:
        self._on_start()
        note = self._cluster.start()
        if note:
            self._on_note(note)

    def _job(self, job: Job, archive: VectorArchive) -> RayJob:
        pools = plan_pools(self._cluster.shape(), jobs=self._jobs, use_gpus=self._use_gpus)
        write_known(job.folder, archive.hashes())
        return RayJob(job, pools)


def _digest(fingerprint: dict[str, object], limits: ExtractionLimits) -> str:
    values = {"fingerprint": fingerprint, "limits": asdict(limits)}
    return text_hash(json.dumps(values, sort_keys=True)).hex()
