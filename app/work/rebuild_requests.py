"""Rebuilds that were asked for and are not done: one small file each, so that none is lost."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import cast

from indexer.errors import UsageError
from indexer.reindexing.request import IndexWish, ReindexRequest
from indexer.storage.segments import disk_errors

__all__ = ["RebuildRequests"]

logger = logging.getLogger(__name__)


class RebuildRequests:
    """Requests by the id of the collection, on disk and in memory. Safe between threads.

    Args:
        directory: holds the files; made when needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._requests = _load_all(directory)

    def ids(self) -> list[str]:
        """Return the ids of the collections that are to be rebuilt, in the order of asking."""
        with self._lock:
            return list(self._requests)

    def get(self, collection_id: str) -> ReindexRequest | None:
        """Return what is asked for; None for nothing."""
        with self._lock:
            return self._requests.get(collection_id)

    def put(self, collection_id: str, request: ReindexRequest) -> None:
        """Note a request; when this returns, a kill does not lose it.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        path = self._path(collection_id)
        with self._lock, disk_errors(path, needed=0):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_text(json.dumps(asdict(request)), encoding="utf-8")
            draft.replace(path)
            self._requests[collection_id] = request

    def remove(self, collection_id: str) -> None:
        """Forget a request: it is done, or not wanted any more."""
        with self._lock, disk_errors(self._directory, needed=0):
            self._requests.pop(collection_id, None)
            self._path(collection_id).unlink(missing_ok=True)

    def _path(self, collection_id: str) -> Path:
        return self._directory / f"{collection_id}.json"


def _load_all(directory: Path) -> dict[str, ReindexRequest]:
    requests = {}
    for path in sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        try:
            values = cast(dict[str, object], json.loads(path.read_text(encoding="utf-8")))
            wish = IndexWish(**cast(dict[str, object], values.pop("wish")))  # type: ignore[arg-type]
            requests[path.stem] = ReindexRequest(wish, **values)  # type: ignore[arg-type]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            logger.warning("%s cannot be read as a rebuild (%s); it is left aside.", path, error)
    return requests
