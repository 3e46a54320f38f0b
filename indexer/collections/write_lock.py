"""One writer per collection: a file lock that a killed process gives back by dying.

Beside the lock stands a note of who holds it, for the message that a second writer gets.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from indexer.errors import CollectionBusyError, StorageError

__all__ = ["WriteLock"]


class WriteLock:
    """The right to change one collection; never waited for.

    A thread that holds it may take it again; other threads and processes are refused. Where the
    file system has no locks it refuses to work at all, for two writers would damage the collection.

    Args:
        directory: the collection's directory; gets ``write.lock`` and ``write.lock.json``.
        name: the collection, as messages name it.
    """

    def __init__(self, directory: Path, *, name: str) -> None:
        self._path = directory / "write.lock"
        self._note = directory / "write.lock.json"
        self._name = name
        self._held = threading.local()

    @contextmanager
    def hold(self, purpose: str) -> Iterator[None]:
        """Hold the lock for a while.

        Args:
            purpose: what is being done, as others read it: ``"indexing"``.

        Raises:
            CollectionBusyError: another thread or process holds it; the message names it.
            StorageError: the lock file cannot be written.
        """
        depth: int = getattr(self._held, "depth", 0)
        if depth:
            self._held.depth = depth + 1
            try:
                yield
            finally:
                self._held.depth = depth
            return
        lock = self._acquire()
        try:
            self._held.depth = 1
            self._write_note(purpose)
            yield
        finally:
            self._held.depth = 0
            with suppress(OSError):
                self._note.unlink()
            lock.release()

    def forget_holder(self) -> None:
        """Remove the note of who holds the lock, where the collection was renamed under it."""
        with suppress(OSError):
            self._note.unlink()

    def _acquire(self) -> FileLock:
        # a lock object of its own each time: flock then also keeps threads of one process apart
        lock = FileLock(self._path, timeout=0, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            raise CollectionBusyError(
                f"collection {self._name!r} is being written by {self._holder()}; "
                "wait until that is done, or stop it, then try again"
            ) from None
        except (OSError, NotImplementedError) as error:
            raise StorageError(
                f"cannot lock {self._path} for writing: {error}; "
                "check the folder's permissions and that its file system supports file locks"
            ) from error
        return lock

    def _write_note(self, purpose: str) -> None:
        note = {"pid": os.getpid(), "purpose": purpose, "since": time.time()}
        with suppress(OSError):  # on a full disk documents can still be deleted, without the note
            self._note.write_text(json.dumps(note), encoding="utf-8")

    def _holder(self) -> str:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            pid, purpose, since = int(note["pid"]), str(note["purpose"]), float(note["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"  # it has only just begun
        who = "this process" if pid == os.getpid() else f"process {pid}"
        begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
        return f"{who} ({purpose}, since {begun})"
