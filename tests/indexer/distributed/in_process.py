"""The pipeline's two halves in this process, without Ray: what Ray adds is tested with Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from indexer.collections.collection import Collection
from indexer.distributed.embedding import EmbedFiles
from indexer.distributed.reading import ReadFiles
from indexer.distributed.rows import Receipt, receipts
from indexer.distributed.work import ClusterModel, Job, pack_portion
from indexer.documents import document_id
from indexer.extraction import ExtractionLimits
from indexer.extraction.protocol import pack_path
from indexer.indexing.discovery import FileEntry
from indexer.indexing.planning import WorkItem
from tests.indexer.fake_model import FakeEmbedder, FakeModel

LONG_AGO_NS = 1_600_000_000 * 10**9


def tokenizer_of(model: FakeModel) -> Path:
    return model.tokenizer_file


def cluster_model(model: FakeModel) -> ClusterModel:
    return ClusterModel(partial(tokenizer_of, model), partial(FakeEmbedder, model))


def work_item(path: Path) -> WorkItem:
    status = path.stat()
    entry = FileEntry(str(path), status.st_size, status.st_mtime_ns)
    return WorkItem(entry, document_id(entry.source), None, 0)


def make_job(
    collection: Collection, model: ClusterModel, folder: Path, *, roots: Sequence[Path] = ()
) -> Job:
    return Job(
        id=folder.name,
        model=model,
        fingerprint=collection.config.fingerprint.as_dict(),
        dim=collection.config.dim,
        limits=ExtractionLimits(),
        roots=tuple(map(pack_path, roots)),
        shards=pack_path(folder),
        made_for="this",
        started_ns=LONG_AGO_NS + 10**12,
    )


@dataclass
class InProcess:
    """Works through portions as a cluster does; a test may have it lose or repeat some."""

    job: Job
    loses: Callable[[Sequence[WorkItem]], bool] = lambda portion: False
    forgets_receipts: bool = False
    repeats: bool = False
    is_stopped: Callable[[], bool] = lambda: False
    asked: list[list[str]] = field(default_factory=list)

    def run(self, work: list[list[WorkItem]]) -> Iterator[Receipt]:
        reader = ReadFiles(self.job)
        embedder = EmbedFiles(self.job)
        for portion in work:
            if self.is_stopped():
                raise ConnectionError("the cluster has gone")
            self.asked.append([item.entry.path.name for item in portion])
            if self.loses(portion):
                continue
            for _ in range(1 + self.repeats):
                for table in reader(pa.table({"portion": [pack_portion(portion)]})):
                    found = receipts(embedder(table))
                    yield from () if self.forgets_receipts else found


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
