"""Collections that stay open between searches, so that each opens its index once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from indexer.collections.config import read_identity, vanished
from indexer.collections.library import Collection, Library
from indexer.errors import CollectionBusyError

__all__ = ["OpenCollections"]

_PATIENCE_S = 20.0


@dataclass(slots=True)
class _Entry:
    collection: Collection
    users: int = 0
    is_retired: bool = False


class OpenCollections:
    """Open collections by name, shared by all threads.

    Args:
        library: opens them.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Condition()
        self._entries: dict[str, _Entry] = {}
        self._closed: set[str] = set()

    @contextmanager
    def use(self, name: str) -> Iterator[Collection]:
        """Lend a collection in its live generation; both stay open until it is given back.

        Raises:
            CollectionNotFoundError, FormatVersionError, StorageError: it cannot be opened; the
                message says what to do.
        """
        entry = self._borrow(name)
        try:
            with entry.collection.using():
                yield entry.collection
        finally:
            with self._lock:
                entry.users -= 1
                is_unused = entry.is_retired and entry.users == 0
                self._lock.notify_all()
            if is_unused:
                entry.collection.close()

    def name_of(self, collection_id: str) -> str | None:
        """Return what a collection is called now, by its id; None where there is none."""
        return self._library.name_of(collection_id)

    def retire(self, name: str) -> None:
        """Close a collection as soon as nobody uses it; the next ``use`` opens it anew."""
        with self._lock:
            entry = self._entries.pop(name, None)
            if entry is None:
                return
            entry.is_retired = True
            is_unused = entry.users == 0
        if is_unused:
            entry.collection.close()

    @contextmanager
    def closed(self, name: str) -> Iterator[None]:
        """Keep a collection closed while the block runs; who wants to use it waits for the end.

        The block itself must not use it.

        Raises:
            CollectionBusyError: somebody uses it for longer than anybody wants to wait.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: self._is_free(name), timeout=_PATIENCE_S):
                raise CollectionBusyError(
                    f"collection {name!r} has been in use for {_PATIENCE_S:.0f} s; try again when "
                    "what runs in it is done"
                )
            self._closed.add(name)
        try:
            self.retire(name)
            yield
        finally:
            with self._lock:
                self._closed.remove(name)
                self._lock.notify_all()

    def close(self) -> None:
        """Retire all collections."""
        for name in list(self._entries):
            self.retire(name)

    def _is_free(self, name: str) -> bool:
        entry = self._entries.get(name)
        return name not in self._closed and (entry is None or not entry.users)

    def _borrow(self, name: str) -> _Entry:
        if self._is_outdated(name):
            self.retire(name)
        with self._lock:
            self._lock.wait_for(lambda: name not in self._closed)
            entry = self._entries.get(name)
            if entry is None:
                entry = self._entries[name] = _Entry(self._library.open(name))
            entry.users += 1
            return entry

    def _is_outdated(self, name: str) -> bool:
        """Return whether another process took the open collection away, or made another instead."""
        entry = self._entries.get(name)
        if entry is None:
            return False
        directory = entry.collection.directory
        if not directory.is_dir():
            self.retire(name)
            raise vanished(directory, entry.collection.id)
        return read_identity(directory).id != entry.collection.id
