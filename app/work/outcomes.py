"""What became of files since the app was started: the latest of each, and how many of which."""

from __future__ import annotations

from collections import Counter

from app.work.activity import Finished
from indexer.indexing.index_report import FileOutcome
from indexer.storage.ledger import FileState

__all__ = ["Outcomes"]

_KEPT = 200


class Outcomes:
    """The latest outcomes, a file's own once. Used under its owner's lock."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], Finished] = {}  # by collection and source, in order
        self._states: dict[str, dict[int, FileState]] = {}  # by collection and hash of the source
        self._counts: Counter[tuple[str, FileState]] = Counter()

    def note(self, collection: str, outcome: FileOutcome) -> None:
        """Note what became of a file; what became of it earlier is forgotten."""
        states, source = self._states.setdefault(collection, {}), hash(outcome.source)
        if source in states:
            self._counts[collection, states[source]] -= 1
        self._counts[collection, outcome.state] += 1
        states[source] = outcome.state
        place = collection, outcome.source
        self._latest.pop(place, None)
        self._latest[place] = Finished(collection, outcome)
        if len(self._latest) > _KEPT:
            del self._latest[next(iter(self._latest))]

    def latest(self) -> tuple[Finished, ...]:
        """Return the latest outcomes, the last one first."""
        return tuple(reversed(self._latest.values()))

    def counts(self) -> dict[tuple[str, FileState], int]:
        """Return how many files came to each state, by collection and state."""
        return {key: count for key, count in self._counts.items() if count}

    def forget(self, collection: str) -> None:
        """Forget what became of the files of a collection."""
        self._move(collection, None)

    def rename(self, collection: str, new_name: str) -> None:
        """Take what is known of a collection over to its new name."""
        self._move(collection, new_name)

    def _move(self, collection: str, to: str | None) -> None:
        for name, source in list(self._latest):
            if name == collection:
                file = self._latest.pop((name, source))
                if to is not None:
                    self._latest[to, source] = Finished(to, file.outcome)
        states = self._states.pop(collection, None)
        if to is not None and states is not None:
            self._states[to] = states
        for name, state in list(self._counts):
            if name == collection:
                count = self._counts.pop((name, state))
                if to is not None:
                    self._counts[to, state] = count
