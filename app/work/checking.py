"""Whether collections are sound: examined and mended in the background, with the last result kept.

Knows nothing of Streamlit.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.work.background import surprise_text
from indexer.collections.config import read_identity
from indexer.collections.library import Library
from indexer.errors import CollectionBusyError, FormatVersionError, IndexerError, StorageError
from indexer.storage.segments import disk_errors
from indexer.verification.content import OnProgress
from indexer.verification.findings import Report
from indexer.verification.repair import repair
from indexer.verification.verifier import verify

__all__ = ["CheckProgress", "CheckState", "Checker", "Health"]

logger = logging.getLogger(__name__)

_SHOWN_PROBLEMS = 50
_PATIENCE_S = 20.0
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Health:
    """What the last check of a collection found.

    Args:
        checked_at: seconds since the epoch.
        problems: what is wrong, each with the file it is in; the first of them where many are.
        problem_count: how many there are.
        remarks: what is no damage, but worth knowing.
        done: what a repair did; nothing where none was asked for.
        seconds: how long it took.
    """

    checked_at: float
    problems: tuple[str, ...] = ()
    problem_count: int = 0
    remarks: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem_count


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """Where a check is.

    Args:
        what: the part that is looked at.
        done: how much of it.
        total: of how much; 0 where nothing is counted.
        is_repair: something is mended as well.
    """

    what: str
    done: int = 0
    total: int = 0
    is_repair: bool = False


@dataclass(frozen=True, slots=True)
class CheckState:
    """What is known of a collection's health.

    Args:
        running: where the check is that goes on; None for none.
        last: what the last one found; None where there was none.
        problem: why the last one came to no end; empty otherwise.
    """

    running: CheckProgress | None = None
    last: Health | None = None
    problem: str = ""


class _Ended(Exception):
    """The app ends, and a check with it."""


class Checker:
    """Examines collections, each in a thread of its own. Safe between threads.

    Args:
        library: knows where the collections are.
        directory: keeps the results, by the ids of the collections; made when needed.
        resting: keeps the indexing thread from writing while something is mended.
        on_mended: told the name of a collection that was mended, so that documents which suffered
            are read again.
        is_settled: says of a collection whether all that is to be read again has been.
    """

    def __init__(
        self,
        library: Library,
        directory: Path,
        *,
        resting: Callable[[], AbstractContextManager[None]],
        on_mended: Callable[[str], None],
        is_settled: Callable[[str], bool],
    ) -> None:
        self._library = library
        self._directory = directory
        self._resting = resting
        self._on_mended = on_mended
        self._is_settled = is_settled
        self._lock = threading.Lock()
        self._is_closing = False
        self._running: dict[str, CheckProgress] = {}
        self._problems: dict[str, str] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, name: str, identity: str, *, mends: bool = False) -> None:
        """Examine a collection in the background.

        Args:
            name: what it is called.
            identity: its id; its name where that cannot be read, and what is found goes to the id
                if it can be read then.
            mends: mend what can be mended.

        Raises:
            CollectionBusyError: it is being examined already.
        """
        directory = self._library.directory(name)
        with self._lock:
            if identity in self._running or name in self._running:
                raise CollectionBusyError(f"collection {name!r} is being checked already")
            self._running[identity] = CheckProgress("", is_repair=mends)
            self._problems.pop(identity, None)
            thread = threading.Thread(
                target=self._work,
                args=(directory, identity, mends),
                name=f"check {name}",
                daemon=True,  # one file may be long, and a repair may be killed at any moment
            )
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def state(self, identity: str) -> CheckState:
        """Say what is known of the health of a collection, by its id, or as ``begin`` got it."""
        with self._lock:
            running, problem = self._running.get(identity), self._problems.get(identity, "")
        return CheckState(running, _read(self._path(identity)), problem)

    def forget(self, identity: str) -> None:
        """Forget what is known of a collection by its id, or as ``begin`` got it."""
        with self._lock:
            self._problems.pop(identity, None)
        with disk_errors(self._directory, needed=0):
            self._path(identity).unlink(missing_ok=True)

    def close(self) -> None:
        """End what goes on, as soon as that can be done."""
        with self._lock:
            self._is_closing = True
            threads = list(self._threads)
        deadline = time.monotonic() + _PATIENCE_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, directory: Path, identity: str, mends: bool) -> None:
        def tell(what: str, done: int, total: int) -> None:
            if self._is_closing and not mends:
                raise _Ended
            with self._lock:
                self._running[identity] = CheckProgress(what, done, total, is_repair=mends)

        try:
            if mends:
                health = self._mend(directory, tell)
            else:
                health = _health(verify(directory, on_progress=tell))
            lasting = _lasting(identity, directory)
            self._keep(lasting, health)
            if lasting != identity:
                self.forget(identity)
        except _Ended:
            pass
        except IndexerError as error:
            self._note_problem(_lasting(identity, directory), str(error))
        except Exception as error:
            # The boundary of the thread: whatever it is, it goes to those who asked.
            logger.exception("checking %s failed", directory.name)
            self._note_problem(_lasting(identity, directory), surprise_text(error))
        finally:
            with self._lock:
                del self._running[identity]

    def _mend(self, directory: Path, tell: OnProgress) -> Health:
        with self._resting():
            mended = repair(directory, on_progress=tell)
        self._on_mended(directory.name)
        if mended.after.is_sound:
            return _health(mended.after, mended.done)
        tell("what suffered is read again", 0, 0)
        while not self._is_settled(directory.name) and not self._is_closing:
            time.sleep(_POLL_S)
        return _health(verify(directory, on_progress=tell), mended.done)

    def _note_problem(self, identity: str, problem: str) -> None:
        with self._lock:
            self._problems[identity] = problem

    def _keep(self, identity: str, health: Health) -> None:
        path = self._path(identity)
        with disk_errors(path, needed=0):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_text(json.dumps(asdict(health)), encoding="utf-8")
            draft.replace(path)

    def _path(self, identity: str) -> Path:
        return self._directory / f"{identity}.json"


def _lasting(identity: str, directory: Path) -> str:
    """Return the id of a collection that was known by its name, if a repair made it readable."""
    if identity == directory.name:
        with suppress(StorageError, FormatVersionError):
            return read_identity(directory).id
    return identity


def _health(report: Report, done: tuple[str, ...] = ()) -> Health:
    problems = [f"{problem.file}: {problem.what}" for problem in report.problems]
    return Health(
        checked_at=time.time(),
        problems=tuple(problems[:_SHOWN_PROBLEMS]),
        problem_count=len(problems),
        remarks=report.remarks,
        done=done,
        seconds=report.seconds,
    )


def _read(path: Path) -> Health | None:
    try:
        return _of_values(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never checked, or the file is damaged: then it is checked again


def _of_values(values: Mapping[str, object]) -> Health:
    def texts(name: str) -> tuple[str, ...]:
        found = values[name]
        if not isinstance(found, list):
            raise ValueError(f"{name!r} must be a list")
        return tuple(str(text) for text in found)

    checked_at, count, seconds = values["checked_at"], values["problem_count"], values["seconds"]
    if not isinstance(checked_at, int | float) or not isinstance(count, int):
        raise ValueError("'checked_at' and 'problem_count' must be numbers")
    if not isinstance(seconds, int | float):
        raise ValueError("'seconds' must be a number")
    return Health(
        checked_at=float(checked_at),
        problems=texts("problems"),
        problem_count=count,
        remarks=texts("remarks"),
        done=texts("done"),
        seconds=float(seconds),
    )
