"""Qdrant stores for the tests: a local folder, a reader beside the writer, and servers.

Where ``QDRANT_URL`` names a real server the contract runs on that too. Elsewhere REST is spoken to
a stand-in; see ``rest``.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.stores.qdrant.connection import Connection
from indexer.stores.qdrant.layout import drop
from indexer.stores.qdrant.reader import QdrantReader
from indexer.stores.qdrant.settings import QdrantSettings
from indexer.stores.qdrant.store import QdrantStore
from tests.indexer.stores.qdrant.rest import RestServer

SERVER = os.environ.get("QDRANT_URL", "")
NEEDS_SERVER = [
    pytest.mark.qdrant,
    pytest.mark.skipif(not SERVER, reason="QDRANT_URL names no Qdrant server"),
]

QDRANT_STORES = [
    "qdrant folder",
    "qdrant rest, read",
    pytest.param("qdrant server", marks=NEEDS_SERVER),
    pytest.param("qdrant server, read", marks=NEEDS_SERVER),
    pytest.param("qdrant server, grpc", marks=NEEDS_SERVER),
]


def settings_of(kind: str, directory: Path) -> QdrantSettings:
    if kind.startswith("qdrant folder"):
        return QdrantSettings(path=shelf() / name_in(directory))
    if kind.startswith("qdrant rest"):
        return QdrantSettings(url=rest_server(directory).url)
    return QdrantSettings(url=SERVER, grpc=kind.endswith("grpc"))


@cache
def shelf() -> Path:
    """Return where local folders go: in memory where possible, for each point is a commit."""
    memory = Path("/dev/shm")
    place = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


@cache
def rest_server(directory: Path) -> RestServer:
    """Return a server of the test's own, over the wire: one for all that it opens."""
    server = RestServer()
    atexit.register(server.close)
    return server


def name_in(directory: Path) -> str:
    """Return a name that tests on one server do not share."""
    return f"test-{hashlib.sha256(str(directory).encode()).hexdigest()[:16]}"


class ReadBack:
    """Writes by a store, and reads all of it back by a reader that has nothing but the address."""

    def __init__(self, store: QdrantStore, reader: QdrantReader) -> None:
        self._store = store
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        if name in ("upsert", "touch", "delete", "flush", "check_index", "rebuild_index", "dim"):
            return getattr(self._store, name)
        if not self._store._catch_up():  # nothing was ever written: there is nothing to read
            return getattr(self._store, name)
        return getattr(self._reader, name)

    def __len__(self) -> int:
        return len(self._reader) if self._store._catch_up() else 0

    def close(self) -> None:
        self._reader.close()
        self._store.close()


@cache
def tidy_up(settings: QdrantSettings, name: str) -> None:
    """Leave nothing of a test on a server that others use as well."""
    atexit.register(lambda: drop(Connection(settings), name))


def open_qdrant(kind: str, directory: Path, database: Database, archive: VectorArchive) -> Any:
    settings, name = settings_of(kind, directory), name_in(directory)
    if kind.startswith("qdrant server"):
        tidy_up(settings, name)
    store = QdrantStore(database, archive, settings, name)
    if kind.endswith("read"):
        return ReadBack(store, QdrantReader(settings, name))
    return store
