"""One rebuild of a collection at a time, and what others can see of it.

The lock is given back by dying, so a note that says "running" counts only while the lock is held.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from indexer.errors import CollectionBusyError, StorageError
from indexer.reindexing.progress import ReindexProgress

__all__ = ["RebuildNote", "RebuildRight", "ask_to_cancel", "read_note"]

State = Literal["running", "stopped", "failed"]

_LOCK, _NOTE, _CANCEL = "reindex.lock", "reindex.json", "reindex.cancel"
_PATIENCE_S = 1.0  # others take the lock for a moment to see whether somebody has it
_WRITE_S = 1.0
_BEGINNING = "beginning"


@dataclass(frozen=True, slots=True)
class RebuildNote:
    """What is known of the rebuild that runs, or of the last one that came to no end.

    Args:
        state: running; stopped and able to go on; or failed.
        pid: its process.
        started_at: seconds since the epoch.
        purpose: what it changes, in words.
        phase: what it was doing last.
        done: chunks that the phase is done with.
        total: chunks that it is about; 0 where nothing is counted.
        seconds_left: as far as can be told.
        message: why it failed; empty otherwise.
        log: file with its output; empty where it has a terminal.
        keeps_work: whether the next one goes on with what it has done.
    """

    state: State
    pid: int
    started_at: float
    purpose: str
    phase: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str = ""
    log: str = ""
    keeps_work: bool = False

    @property
    def is_running(self) -> bool:
        """Whether a process is at work on it."""
        return self.state == "running"


def read_note(directory: Path) -> RebuildNote | None:
    """Return what is known of the rebuild of the collection in a directory; None for nothing."""
    try:
        values = json.loads((directory / _NOTE).read_text(encoding="utf-8"))
        known = {field.name for field in fields(RebuildNote)}
        note = RebuildNote(**{name: value for name, value in values.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if note.is_running and not _is_held(directory / _LOCK):
        return replace(note, state="stopped", seconds_left=None)  # it was killed
    return note


def ask_to_cancel(directory: Path, *, timeout_s: float) -> bool:
    """Ask the process that rebuilds a collection to give up, and wait until it did.

    Returns:
        Whether there was one.

    Raises:
        CollectionBusyError: it did not end in time.
    """
    note = read_note(directory)
    if note is None or not note.is_running:
        return False
    wish = directory / _CANCEL
    try:
        wish.write_text(str(note.pid), encoding="ascii")
        deadline = time.monotonic() + timeout_s
        while _is_held(directory / _LOCK):
            if time.monotonic() > deadline:
                raise CollectionBusyError(
                    f"process {note.pid} was asked to stop rebuilding {directory.name!r} and has "
                    f"not after {timeout_s:.0f} s; wait for it, or end it: kill {note.pid}"
                )
            time.sleep(0.1)
    except OSError as error:
        raise StorageError(f"{wish} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            wish.unlink()
    return True


class RebuildRight:
    """The right to rebuild one collection.

    Args:
        directory: the collection's directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._note: RebuildNote | None = None
        self._written = 0.0

    @contextmanager
    def hold(self, *, log: str = "") -> Iterator[None]:
        """Hold the right, and note what is being done.

        What ends the block by an error is noted as failed; one that was refused before its purpose
        was described leaves things as they were.

        Args:
            log: file with the output of this process; empty where it has a terminal.

        Raises:
            CollectionBusyError: another process or thread rebuilds the collection.
            StorageError: the lock file cannot be written.
        """
        lock = self._acquire()
        earlier = self._kept()
        try:
            with suppress(FileNotFoundError):
                (self._directory / _CANCEL).unlink()  # it was meant for somebody else
            self._note = RebuildNote("running", os.getpid(), time.time(), _BEGINNING, log=log)
            self._write()
            yield
            self._end()
        except BaseException as error:
            if self._note is None or self._note.purpose == _BEGINNING:
                self._restore(earlier)
            else:
                message = str(error) or type(error).__name__
                self._change(state="failed", message=message, seconds_left=None)
            raise
        finally:
            lock.release()

    @contextmanager
    def hold_off(self) -> Iterator[None]:
        """Keep rebuilds from beginning; what is noted of an earlier one stays.

        Raises:
            CollectionBusyError: another process or thread rebuilds the collection.
            StorageError: the lock file cannot be written.
        """
        lock = self._acquire()
        try:
            yield
        finally:
            lock.release()

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked this rebuild to give up."""
        return (self._directory / _CANCEL).exists()

    def describe(self, purpose: str, *, keeps_work: bool = False) -> None:
        """Note what the rebuild changes, in words, and whether the next one goes on with it."""
        self._change(purpose=purpose, keeps_work=keeps_work)

    def tell(self, progress: ReindexProgress) -> None:
        """Note how far it is, once a second at most."""
        if time.monotonic() - self._written >= _WRITE_S:
            self._change(
                phase=progress.phase,
                done=progress.done,
                total=progress.total,
                seconds_left=progress.seconds_left,
            )

    def stop(self) -> None:
        """Note that it ended early, in good order."""
        self._change(state="stopped", seconds_left=None)

    def _acquire(self) -> FileLock:
        if not self._directory.is_dir():
            raise StorageError(f"{self._directory} is gone; there is nothing to rebuild")
        path = self._directory / _LOCK
        lock = FileLock(path, timeout=_PATIENCE_S, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            note = read_note(self._directory)
            who = "another process" if note is None else f"process {note.pid} ({note.purpose})"
            name = self._directory.name
            raise CollectionBusyError(
                f"collection {name!r} is being rebuilt by {who}; see `gircse status -c {name}`, "
                f"or stop it: gircse reindex {name} --cancel"
            ) from None
        except (OSError, NotImplementedError) as error:
            raise StorageError(
                f"cannot lock {path}: {error}; check the folder's permissions and that its file "
                "system supports file locks"
            ) from error
        return lock

    def _change(self, **values: object) -> None:
        assert self._note is not None
        self._note = replace(self._note, **values)  # type: ignore[arg-type]
        self._write()

    def _write(self) -> None:
        assert self._note is not None
        self._written = time.monotonic()
        draft = self._directory / f"{_NOTE}.new"
        with suppress(OSError):  # the note is for onlookers; the rebuild does not depend on it
            draft.write_text(json.dumps(asdict(self._note)), encoding="utf-8")
            draft.replace(self._directory / _NOTE)

    def _kept(self) -> bytes | None:
        try:
            return (self._directory / _NOTE).read_bytes()
        except OSError:
            return None

    def _restore(self, earlier: bytes | None) -> None:
        with suppress(OSError):
            if earlier is None:
                (self._directory / _NOTE).unlink()
            else:
                (self._directory / _NOTE).write_bytes(earlier)

    def _end(self) -> None:
        if self._note is not None and self._note.is_running:
            with suppress(OSError):
                (self._directory / _NOTE).unlink()


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    except NotImplementedError:
        return False
    except OSError:
        return _is_held_by_whom_it_belongs_to(path)
    lock.release()
    return False


def _is_held_by_whom_it_belongs_to(path: Path) -> bool:
    """Ask as somebody who may read the folder only, and cannot take the lock to see."""
    with suppress(ImportError, OSError):
        import fcntl

        with path.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False
