"""Keeps a collection in step with folders for as long as it runs.

What changes is reported by the system; each report only says where to look, and what is done there
is an ordinary run of ``indexer.indexing.pipeline``. Now and then everything is looked at, since
systems lose reports and network drives make none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from indexer.errors import (
    CollectionBusyError,
    CollectionNotFoundError,
    StaleCollectionError,
    UsageError,
)
from indexer.indexing.discovery import concerns, display_path
from indexer.indexing.index_report import FileOutcome, IndexOptions, IndexProgress, IndexReport
from indexer.indexing.pipeline import index_paths

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.indexing.embedding import DocumentEmbedder

__all__ = ["FolderWatch", "WatchListener", "WatchOptions"]

logger = logging.getLogger(__name__)

_TICK_S = 0.25
_LOOKS_S = 2.0  # between looks at whether the folders are still there
_MOST_PLACES = 5000  # more than these are faster found by looking at everything
_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 2.0, 300.0
_UNTELLABLE = "Unable to decode path"  # how watchfiles gives up on a name that is not UTF-8
_FLUSH_S = 30.0  # of rest, before the index is written to the disk


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How folders are watched.

    Args:
        index: how files are indexed.
        settle_s: a file is read when it has not changed for so long.
        longest_wait_s: or when it has been changing for so long.
        rescan_s: everything is looked at after so long.
        poll: look for changes ourselves, for drives that report none.

    Raises:
        UsageError: a time is not above 0.
    """

    index: IndexOptions
    settle_s: float = 1.0
    longest_wait_s: float = 60.0
    rescan_s: float = 3600.0
    poll: bool = False

    def __post_init__(self) -> None:
        for name in ("settle_s", "longest_wait_s", "rescan_s"):
            if not getattr(self, name) > 0:
                raise UsageError(
                    f"{name.removesuffix('_s').replace('_', ' ')} is {getattr(self, name):g}; "
                    "expected more than 0 seconds"
                )


class WatchListener(Protocol):
    """Is told what happens."""

    def said(self, message: str) -> None:
        """Something that is no file's affair: a folder went away, another process is writing."""

    def progressed(self, progress: IndexProgress) -> None:
        """Where the present run is."""

    def settled(self, outcome: FileOutcome) -> None:
        """What became of a file that was looked at."""

    def finished(self, report: IndexReport) -> None:
        """The end of a run."""


class FolderWatch:
    """Watches files and folders, and indexes what changes until it is told to stop.

    Args:
        collection: kept in step.
        paths: files and folders, all of which must exist now. One that goes away later is waited
            for, and nothing of it is removed meanwhile.
        embedder: loads a model by its name; called again when the collection was rebuilt by
            another model.
        options: how.
        home: the program's own directory, which is never entered.
        listener: told what happens.
        should_stop: asked several times a second, and between batches.

    Raises:
        UsageError: a path or pattern is wrong.
    """

    def __init__(
        self,
        collection: Collection,
        paths: Sequence[Path],
        *,
        embedder: Callable[[str], DocumentEmbedder],
        options: WatchOptions,
        home: Path | None = None,
        listener: WatchListener,
        should_stop: Callable[[], bool],
    ) -> None:
        self._collection = collection
        self._paths = [path.resolve() for path in paths]
        self._embedder = embedder
        self._loaded: DocumentEmbedder | None = None
        self._loaded_for: Mapping[str, object] = {}
        self._options = options
        self._home = home or collection.home
        self._listener = listener
        self._should_stop = should_stop
        index = options.index
        self._concerns = concerns(
            paths, include=index.include, exclude=index.exclude, home=self._home
        )
        self._changed: dict[Path, tuple[float, float]] = {}  # first and last report of each place
        self._stamps: dict[Path, _Stamp | None] = {}
        self._looked_at = 0.0
        self._rescan_at = 0.0
        self._retry_s = _SHORTEST_RETRY_S
        self._retry_at = 0.0
        self._flush_at: float | None = None
        self._said: set[str] = set()

    def run(self) -> None:
        """Watch until told to stop. The first thing is to look at everything.

        Raises:
            CollectionNotFoundError: the collection was deleted.
            StaleCollectionError: its model is not what made its vectors.
        """
        try:
            while not self._should_stop():
                self._stamps = self._stamps_now()
                self._say_absent()
                # The reports begin before everything is looked at, so that nothing falls between.
                self._rescan_at = 0.0
                for reports in self._reports():
                    self._note(reports)
                    self._work()
                    if self._should_stop() or self._has_moved():
                        break
        finally:
            self._flush()

    def _present(self) -> list[Path]:
        return [path for path in self._paths if self._stamps[path] is not None]

    def _reports(self) -> Iterator[set[str]]:
        """Yield where something changed, several times a second; often nowhere."""
        folders = [path for path in self._present() if path.is_dir()]
        everything = {str(folder) for folder in folders}
        missed: set[str] = set()
        while folders:
            try:
                for changes in self._changes(folders):
                    yield missed | changes
                    missed = set()
                return
            except (OSError, RuntimeError, UnicodeEncodeError) as error:
                if not str(error).startswith(_UNTELLABLE):  # such as: no more can be watched
                    self._say(
                        f"the system does not report changes ({error}); everything is looked at "
                        f"every {self._options.rescan_s:g} s instead. Raise its limit of watches, "
                        "use --poll, or look more often with --rescan"
                    )
                    break
            # A name that is not UTF-8 ends the reports, and what else was in them is lost with it:
            # so everything is due, now and again when the reports have begun anew.
            missed = everything
            yield missed
            time.sleep(_TICK_S)
        while True:
            yield set()
            time.sleep(_TICK_S)

    def _changes(self, folders: Sequence[Path]) -> Iterator[set[str]]:
        import watchfiles

        for changes in watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=int(_TICK_S * 1000),
            step=50,
            rust_timeout=int(_TICK_S * 1000),
            yield_on_timeout=True,
            stop_event=_Event(self._should_stop),
            raise_interrupt=True,
            force_polling=self._options.poll or None,
            poll_delay_ms=2000,
            ignore_permission_denied=True,
        ):
            yield {location for _, location in changes}

    def _note(self, reports: set[str]) -> None:
        now = time.monotonic()
        for location in reports:
            if self._concerns(location):
                path = Path(location)
                self._changed[path] = (self._changed.get(path, (now, now))[0], now)

    def _has_moved(self) -> bool:
        """Return whether a folder went away or came back, or a drive was mounted in its place."""
        now = time.monotonic()
        if now - self._looked_at < _LOOKS_S:
            return False
        self._looked_at = now
        stamps = self._stamps_now()
        moved = [
            path
            for path, stamp in stamps.items()
            if (stamp and stamp.place) != ((before := self._stamps[path]) and before.place)
        ]
        for path, stamp in stamps.items():
            # an editor that replaces a file takes it away from those who watch the file alone
            if path not in moved and stamp != self._stamps[path] and not path.is_dir():
                self._changed[path] = (now, now)
                self._stamps[path] = stamp
        return bool(moved)

    def _work(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if now < self._retry_at or not self._present():
            return
        if now >= self._rescan_at or len(self._changed) > _MOST_PLACES:
            noted, self._changed = self._changed, {}
            if self._index(within=None):
                self._rescan_at = time.monotonic() + self._options.rescan_s
            else:
                self._changed = noted | self._changed
            return
        due = [path for path, times in self._changed.items() if self._is_due(*times, now)]
        if due:
            noted = {path: self._changed.pop(path) for path in due}
            if not self._index(within=_topmost(due)):
                self._changed = noted | self._changed
        elif self._flush_at is not None and now >= self._flush_at:
            self._flush()

    def _is_due(self, first: float, last: float, now: float) -> bool:
        options = self._options
        return now - last >= options.settle_s or now - first >= options.longest_wait_s

    def _index(self, *, within: tuple[Path, ...] | None) -> bool:
        """Look at some places, or at everything; return whether that came to its end."""
        try:
            report = index_paths(
                self._collection,
                self._present(),
                embedder=self._load,
                options=replace(
                    self._options.index, within=within, flush=within is None and self._is_first
                ),
                home=self._home,
                on_progress=self._listener.progressed,
                on_outcome=self._listener.settled,
                should_stop=self._should_stop,
            )
        except (CollectionNotFoundError, StaleCollectionError):
            raise  # no waiting mends these
        except CollectionBusyError as error:
            self._postpone(str(error))
            return False
        except UsageError as error:
            self._postpone(str(error))  # a path that went away since it was last looked at
            return False
        except Exception as error:
            # The boundary of a process that runs for months: a full disk, a device out of memory or
            # a surprise must not end it.
            logger.debug("a run failed", exc_info=error)
            self._postpone(f"{error}" or type(error).__name__)
            return False
        self._retry_s = _SHORTEST_RETRY_S
        self._said.clear()
        if report.new or report.updated or report.removed:
            self._flush_at = time.monotonic() + _FLUSH_S
        self._listener.finished(report)
        return not report.interrupted

    @property
    def _is_first(self) -> bool:
        return self._rescan_at == 0.0

    def _load(self) -> DocumentEmbedder:
        """Return the model that made the live generation; a rebuild may have changed it."""
        config = self._collection.config
        made_by = config.fingerprint.model
        if self._loaded is None or made_by != self._loaded_for:
            if self._loaded is not None:
                self._loaded = None  # its memory is free before the next one is loaded
                self._say(f"{self._collection.name!r} was rebuilt with the model {config.model}")
            self._loaded = self._embedder(config.model)
            self._loaded_for = made_by
        return self._loaded

    def _postpone(self, cause: str) -> None:
        self._retry_at = time.monotonic() + self._retry_s
        self._say(f"{cause} (tried again in {self._retry_s:g} s)")
        self._retry_s = min(self._retry_s * 2, _LONGEST_RETRY_S)

    def _flush(self) -> None:
        """Write what is derived; what was stored is safe without it."""
        if self._flush_at is not None:
            self._flush_at = None
            with self._collection.using() as generation:
                generation.store.flush()

    def _stamps_now(self) -> dict[Path, _Stamp | None]:
        return {path: _stamp(path) for path in self._paths}

    def _say_absent(self) -> None:
        for path, stamp in self._stamps.items():
            if stamp is None:
                self._say(f"{display_path(path)} is not there; waiting for it, nothing is removed")

    def _say(self, message: str) -> None:
        # the same once, until something went well
        if message not in self._said:
            self._said.add(message)
            self._listener.said(message)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Which file or folder is at a path; of a file, also in which state."""

    place: tuple[int, int]
    state: tuple[int, int]


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if path.is_dir():
        return _Stamp((status.st_dev, status.st_ino), (0, 0))
    return _Stamp((status.st_dev, 0), (status.st_ino, status.st_mtime_ns))


class _Event:
    """A question in the shape of an event, as watchfiles asks it."""

    def __init__(self, is_set: Callable[[], bool]) -> None:
        self.is_set = is_set


def _topmost(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the paths that are not below another one."""
    given = set(paths)
    return tuple(path for path in paths if not given.intersection(path.parents))
