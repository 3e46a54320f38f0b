"""Follows a collection's pointer: opens the generation that is live, closes the one that was.

A thread works in one generation as long as it likes, while others move on to the next.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.collections.config import Identity, read_identity
from indexer.collections.generation import Generation
from indexer.collections.generations import pointer_stamp, read_generations
from indexer.errors import CollectionNotFoundError, IndexerError, StorageError

__all__ = ["LiveGeneration"]

_MAX_ATTEMPTS = 20  # each is another swap, at the very moment of opening


@dataclass(slots=True, eq=False)
class _Opened:
    generation: Generation
    users: int = 0
    is_retired: bool = False
    is_lent: bool = False


class LiveGeneration:
    """The live generation of a collection, swap after swap. Safe between threads.

    Args:
        directory: the collection's directory.

    Raises:
        FormatVersionError, StorageError: it cannot be opened; the message says what to do.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.identity: Identity = read_identity(directory)
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._lent: _Opened | None = None
        self._stamp = pointer_stamp(directory)
        self._opened: _Opened | None = _Opened(self._open())

    @contextmanager
    def using(self, *, anew: bool = False) -> Iterator[Generation]:
        """Give the live generation, kept open until the block ends.

        A block inside a block of the same thread gets the same generation.

        Args:
            anew: look at the pointer again, even inside of another block.
        """
        pinned = self._pinned
        if pinned and not anew:
            yield pinned[-1]
            return
        opened = self._borrow()
        pinned.append(opened.generation)
        try:
            yield opened.generation
        finally:
            pinned.reverse()
            pinned.remove(opened.generation)  # the last one of it
            pinned.reverse()
            self._give_back(opened)

    def current(self) -> Generation:
        """Return the generation of this thread's ``using`` block, else the live one.

        The latter stays open until the swap after the next one, or until ``close``.
        """
        if self._pinned:
            return self._pinned[-1]
        with self._lock:
            opened, retired = self._follow()
            opened.is_lent = True
        self._dispose(retired)
        return opened.generation

    def close(self) -> None:
        """Close what is open; a generation that is in use, when its last user is done."""
        with self._lock:
            opened, self._opened = self._opened, None
            lent, self._lent = self._lent, None
            for one in (opened, lent):
                if one is not None:
                    one.is_retired, one.is_lent = True, False
        for one in (opened, lent):
            if one is not None and one.users == 0:
                one.generation.close()

    @property
    def _pinned(self) -> list[Generation]:
        pinned: list[Generation] | None = getattr(self._thread, "pinned", None)
        if pinned is None:
            pinned = self._thread.pinned = []
        return pinned

    def _borrow(self) -> _Opened:
        with self._lock:
            opened, retired = self._follow()
            opened.users += 1
        self._dispose(retired)
        return opened

    def _give_back(self, opened: _Opened) -> None:
        with self._lock:
            opened.users -= 1
            is_unused = opened.is_retired and not opened.is_lent and opened.users == 0
        if is_unused:
            opened.generation.close()

    def _follow(self) -> tuple[_Opened, _Opened | None]:
        """Return what is live, and what ceased to be; under the lock."""
        before = self._opened
        if before is None:
            raise StorageError(
                f"collection {self._directory.name!r} was closed; open the collection again"
            )
        stamp = pointer_stamp(self._directory)
        if stamp == self._stamp or stamp is None:  # None: deleted, or of format 1
            return before, None
        if read_identity(self._directory).id != self.identity.id:
            raise CollectionNotFoundError(
                f"collection {self._directory.name!r} was deleted meanwhile, and another one made "
                "in its place; open it again"
            )
        live = read_generations(self._directory).live
        if live.is_same(before.generation.record):
            self._stamp = stamp
            return before, None
        # Should opening fail, the stamp stays, so that the next call tries again.
        self._opened = _Opened(self._open())
        return self._opened, before

    def _open(self) -> Generation:
        """Open what is live; another swap may remove it at that very moment."""
        for _ in range(_MAX_ATTEMPTS):
            stamp = pointer_stamp(self._directory)
            record = read_generations(self._directory).live
            try:
                generation = Generation(self._directory, record)
            except IndexerError:
                if pointer_stamp(self._directory) == stamp:
                    raise
                continue
            self._stamp = stamp
            return generation
        raise StorageError(
            f"collection {self._directory.name!r} is being rebuilt faster than it can be opened; "
            "try again in a moment"
        )

    def _dispose(self, retired: _Opened | None) -> None:
        """Close what is not live any more, unless somebody may still be at work in it."""
        if retired is None:
            return
        with self._lock:
            retired.is_retired = True
            leaving: _Opened | None = retired
            if retired.is_lent:
                leaving, self._lent = self._lent, retired
                if leaving is not None:
                    leaving.is_lent = False
            is_unused = leaving is not None and leaving.users == 0
        if leaving is not None and is_unused:
            leaving.generation.close()
