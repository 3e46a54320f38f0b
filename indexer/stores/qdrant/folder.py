"""The folder of Qdrant's local mode: who may open it, and one client for all of this process.

Qdrant keeps the rows of such a folder pickled, so opening one that somebody else filled would run
whatever they put there. Only folders that this program made for this user are opened: a token lies
in the folder and again among the user's own files, and both have to agree.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock, Timeout

from indexer.errors import CollectionBusyError, StorageError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["LocalFolder", "open_folder"]

_MARKER = "gircse-folder.json"
_LOCK = "gircse.lock"
_NOTE = "gircse.lock.json"

_folders: dict[Path, LocalFolder] = {}
_opening = threading.Lock()


class LocalFolder:
    """An open folder, shared by everything in this process that uses it.

    Attributes:
        client: the client, which one thread may use at a time.
        lock: held while it is used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._users = 0
        self.lock = threading.RLock()
        self._file_lock = _lock(path)
        try:
            self.client: QdrantClient = _client(path)
        except BaseException:
            self._file_lock.release()
            raise
        with suppress(OSError):
            note = {"pid": os.getpid(), "since": time.time()}
            (path / _NOTE).write_text(json.dumps(note), encoding="utf-8")

    def take(self) -> LocalFolder:
        """Count one more user."""
        self._users += 1
        return self

    def give_back(self) -> None:
        """Count one user less; the last one closes the folder."""
        with _opening:
            self._users -= 1
            if self._users:
                return
            del _folders[self._path]
            with self.lock:
                self.client.close()
            with suppress(OSError):
                (self._path / _NOTE).unlink()
            self._file_lock.release()


def open_folder(path: Path) -> LocalFolder:
    """Open a folder, or make it; ``give_back()`` when done with it.

    Raises:
        CollectionBusyError: another process has it open.
        StorageError: this program did not make it for this user, or it cannot be read or written.
    """
    with _opening:
        try:
            _make_or_check(path)
            path = path.resolve()
            if path not in _folders:
                _folders[path] = LocalFolder(path)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be used as a folder of Qdrant: {error.strerror or error}; check "
                "its permissions, or choose another one as qdrant.path"
            ) from error
        return _folders[path].take()


def _make_or_check(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = path / _MARKER
    if not any(path.iterdir()):
        token = secrets.token_hex(16)
        own = _own_record(token)
        own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        own.write_text(f"{path.resolve()}\n", encoding="utf-8")
        own.chmod(0o600)
        marker.write_text(json.dumps({"token": token}), encoding="utf-8")
        return
    try:
        token = json.loads(marker.read_text(encoding="utf-8"))["token"]
        is_ours = (
            isinstance(token, str)
            and token.isalnum()
            and _own_record(token).is_file()
            and path.stat().st_uid == os.getuid()
        )
    except (OSError, ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise StorageError(
            f"{path} was not made by this program for this user, so it is not opened: a folder of "
            "Qdrant's local mode can run what somebody else put into it. Choose an empty folder as "
            "qdrant.path and fill it with `gircse reindex COLLECTION --store qdrant`; nothing is "
            "embedded again"
        )


def _own_record(token: str) -> Path:
    folder = Path(platformdirs.user_state_dir("gircse", appauthor=False))
    return folder / "qdrant-folders" / token


def _lock(path: Path) -> FileLock:
    lock = FileLock(path / _LOCK, timeout=0, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise _busy(path) from None
    return lock


def _busy(path: Path) -> CollectionBusyError:
    try:
        note = json.loads((path / _NOTE).read_text(encoding="utf-8"))
        begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(note["since"])))
        holder = f"process {int(note['pid'])} since {begun}"
    except (OSError, ValueError, KeyError, TypeError):
        holder = "another process"
    return CollectionBusyError(
        f"the Qdrant folder {path} is open in {holder}, and Qdrant's local mode allows one process "
        "at a time. Close that one (the app, or a gircse command) and try again; for several at "
        "once run a Qdrant server, set qdrant.url to it and `gircse reindex COLLECTION --store "
        "qdrant`"
    )


def _client(path: Path) -> QdrantClient:
    from qdrant_client import QdrantClient

    # Told by ourselves, where the collection is pushed.
    warnings.filterwarnings("ignore", message="Local mode is not recommended")
    try:
        return QdrantClient(path=str(path), force_disable_check_same_thread=True)
    except RuntimeError as error:  # held by a program that knows nothing of our lock
        raise _busy(path) from error
