"""Shards on their way into a collection: who waits for which, and what earlier runs have left.

A shard stays on the disk until all of its files are stored, so that a kill costs no model call: the
next run over the same files takes it in as it is.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.distributed.shards import SHARD_SUFFIX, Shard, drop_drafts
from indexer.distributed.work import MARK_FILE
from indexer.errors import StorageError
from indexer.extraction import ExtractionRequest
from indexer.extraction.protocol import decode_message, decode_result
from indexer.file_times import modified_ns
from indexer.indexing.planning import WorkItem
from indexer.storage.segments import disk_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.extraction import ExtractionResult
    from indexer.storage.ledger import Ledger

__all__ = ["ShardBox"]

_logger = logging.getLogger(__name__)

_CLOCK_GRAIN_NS = 2_000_000_000  # FAT keeps times to two seconds, most others to milliseconds
_UNFINISHED = frozenset({"queued", "extracting", "embedding"})


class _Waited:
    """A shard some of whose files are to be stored in this run."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.files: set[str] = set()  # ids of documents that are not stored yet
        self.unclaimed: dict[bytes, tuple[int, int]] = {}  # size and time of files nobody asked for


class ShardBox:
    """The shards of one collection; made by the thread that takes in their files.

    Args:
        folder: where the shards of all runs are kept, a folder for each run.
        run: id of this run.
        made_for: what shards have to be made for; others are removed.

    Attributes:
        model_seconds: that the model took for the shards opened so far, on whichever machines.

    Raises:
        StorageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, run: str, made_for: str) -> None:
        self.folder = folder / run
        self._parent = folder
        self._made_for = made_for
        self._lock = threading.Lock()
        self._shards: dict[Path, _Waited] = {}
        self._places: dict[bytes, _Waited] = {}
        self._opened: set[Path] = set()
        self.model_seconds = 0.0
        with disk_errors(self.folder, needed=0):
            self.folder.mkdir(parents=True, mode=0o700)
            (self.folder / MARK_FILE).write_text(json.dumps({"id": run}))
        self._find_left()

    def claim(self, item: WorkItem) -> Path | None:
        """Return the shard of an earlier run that has a file as it is now; None if none has."""
        waited = self._places.pop(item.entry.key, None)
        if waited is None:
            return None
        with self._lock:
            if waited.unclaimed[item.entry.key] == (item.entry.size, item.entry.mtime_ns):
                waited.files.add(item.document_id)  # first: else it might seem to be done with
            del waited.unclaimed[item.entry.key]
            return waited.shard.path if item.document_id in waited.files else None

    def open(
        self, path: Path, items: Mapping[bytes, WorkItem]
    ) -> Iterator[tuple[WorkItem, ExtractionResult]]:
        """Yield files of a shard, and keep their vectors at hand until they are stored.

        Args:
            path: the shard.
            items: the files that are wanted of it, by their paths' own bytes.

        Raises:
            StorageError: the shard is damaged.
        """
        with self._lock:
            waited = self._shards.get(path)
            if waited is None:
                waited = self._shards[path] = _Waited(Shard(path))
            if path not in self._opened:
                self._opened.add(path)
                self.model_seconds += waited.shard.note.model_seconds
            waited.files.update(item.document_id for item in items.values())
        for file in waited.shard.files():
            item = items.get(file.path)
            if item is not None:
                entry = item.entry
                request = ExtractionRequest(entry.path, entry.source, entry.name)
                answer = decode_message(file.answer)
                yield item, decode_result(answer, request, seconds=file.seconds)

    def settle(self, document_id: str) -> None:
        """Note that a document is stored; a shard all of whose files are is removed."""
        with self._lock:
            for path, waited in list(self._shards.items()):
                waited.files.discard(document_id)
                if not waited.files and not waited.unclaimed:
                    waited.shard.remove()
                    del self._shards[path]

    def vector(self, text_hash: bytes) -> NDArray[np.float32] | None:
        """Return the (D,) vector of a text out of the open shards; None when none has it."""
        with self._lock:
            for waited in self._shards.values():
                if waited.files and waited.shard.has(text_hash):
                    return waited.shard.vector(text_hash)
        return None

    def sweep(self, ledger: Ledger) -> None:
        """Remove what no run will ask for, when all files of this run have been claimed.

        Args:
            ledger: what is known of files; shards with unfinished ones are kept for their run.
        """
        with self._lock:
            for path, waited in list(self._shards.items()):
                rows = ledger.at(list(waited.unclaimed))
                if not any(
                    row.state in _UNFINISHED and _stamps(key) == waited.unclaimed[key]
                    for key, row in rows.items()
                ):
                    waited.unclaimed.clear()
                    if not waited.files:
                        waited.shard.remove()
                        del self._shards[path]

    def close(self) -> None:
        """Remove the folders of runs that have nothing left."""
        for run in _folders(self._parent):
            if not any(run.glob("*" + SHARD_SUFFIX)):
                shutil.rmtree(run, ignore_errors=True)
        with suppress(OSError):  # not empty
            self._parent.rmdir()

    def _find_left(self) -> None:
        for run in _folders(self._parent):
            drop_drafts(run)
            for path in sorted(run.glob("*" + SHARD_SUFFIX)):
                waited = self._left(path)
                if waited is None:
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    self._shards[path] = waited
                    self._places.update(dict.fromkeys(waited.unclaimed, waited))

    def _left(self, path: Path) -> _Waited | None:
        """Return what a shard of an earlier run has to offer; None when it is of no use."""
        try:
            waited = _Waited(Shard(path))
            stamps = waited.shard.stamps()
        except StorageError as error:
            _logger.warning("removed a shard of a run that was ended: %s", error)
            return None
        note = waited.shard.note
        if note.made_for != self._made_for:
            return None
        # A file that was written just before it was read may have been written again since, at the
        # same size and in the same tick of the file system's clock.
        for key, (size, mtime_ns) in stamps.items():
            if mtime_ns < note.started_ns - _CLOCK_GRAIN_NS and key not in self._places:
                waited.unclaimed[key] = (size, mtime_ns)
        return waited if waited.unclaimed else None


def _stamps(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size, modified_ns(status)


def _folders(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
