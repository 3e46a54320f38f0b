"""What the processes of a cluster are told: the job as a whole, and which files each call is about.

Plain values that Ray can carry to other machines; they know neither Ray nor a collection.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.fingerprint import Fingerprint
from indexer.extraction import ExtractionLimits, ExtractionRequest
from indexer.extraction.protocol import pack_path, unpack_path

if TYPE_CHECKING:
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.indexing.planning import WorkItem

__all__ = [
    "MARK_FILE",
    "ClusterModel",
    "Job",
    "UnfitMachineError",
    "check_machine",
    "pack_portion",
    "portions",
    "unpack_portion",
]

MARK_FILE = "job.json"
"""In the folder of shards: proves to another machine that it sees the same folder."""

_PORTION_FILES = 64
_PORTION_BYTES = 2 * 2**20


class UnfitMachineError(Exception):
    """A machine of the cluster cannot do the job, whatever the file."""


@dataclass(frozen=True, slots=True)
class ClusterModel:
    """How each machine gets the model; both are called there.

    Args:
        tokenizer: returns the path of its tokenizer.
        load: loads it.
    """

    tokenizer: Callable[[], Path]
    load: Callable[[], DocumentEmbedder]


@dataclass(frozen=True, slots=True)
class Job:
    """What is the same for all files of a run.

    Args:
        id: of this run.
        model: how to get the model.
        fingerprint: ``Fingerprint.as_dict()`` of the collection.
        dim: width D of its vectors.
        limits: what reading one file may take.
        roots: the files and folders that are indexed, packed; every machine has to have them.
        shards: the folder for shards, packed; every machine has to have it.
        made_for: what a shard's content depends on.
        started_ns: when the run began; nanoseconds since the epoch.
    """

    id: str
    model: ClusterModel
    fingerprint: dict[str, object]
    dim: int
    limits: ExtractionLimits
    roots: tuple[str, ...]
    shards: str
    made_for: str
    started_ns: int

    @property
    def steps(self) -> int:
        """Refinement steps of every document."""
        return Fingerprint.from_dict(self.fingerprint).steps

    @property
    def chunking(self) -> dict[str, int]:
        """How documents are cut."""
        return dict(Fingerprint.from_dict(self.fingerprint).chunking)

    @property
    def folder(self) -> Path:
        """The folder for shards."""
        return unpack_path(self.shards)


def check_machine(job: Job) -> None:
    """Check that this machine sees the same documents and shards as the one that began the run.

    Raises:
        UnfitMachineError: it does not; the message names the machine and says what to do.
    """
    missing = [str(path) for path in map(unpack_path, job.roots) if not path.exists()]
    if missing:
        raise UnfitMachineError(
            f"machine {socket.gethostname()} has no {missing[0]}; make the documents reachable "
            "under the same path on every machine of the cluster"
        )
    try:
        mark = json.loads((job.folder / MARK_FILE).read_bytes())
    except (OSError, ValueError):
        mark = {}
    if mark != {"id": job.id}:
        raise UnfitMachineError(
            f"machine {socket.gethostname()} does not see the folder {job.folder} of this run; "
            "name one that all machines share: --ray-shards FOLDER"
        )


def portions(items: Iterable[WorkItem]) -> Iterator[list[WorkItem]]:
    """Cut a run into what one call reads and embeds: a few megabytes, or one larger file."""
    portion: list[WorkItem] = []
    size = 0
    for item in items:
        if portion and size + item.entry.size > _PORTION_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += item.entry.size
        if len(portion) == _PORTION_FILES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def pack_portion(portion: Iterable[WorkItem]) -> bytes:
    """Return files as bytes for ``unpack_portion``."""
    values = [(pack_path(i.entry.path), i.entry.source, i.entry.name) for i in portion]
    return json.dumps(values).encode("ascii")


def unpack_portion(packed: bytes) -> list[ExtractionRequest]:
    """Return the files that ``pack_portion`` packed."""
    return [
        ExtractionRequest(unpack_path(path), source, name)
        for path, source, name in json.loads(packed)
    ]
