"""When a rebuild has to end: it was asked to, it was cancelled, or its collection is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.reindexing.rebuild_note import RebuildRight

__all__ = ["StopSign"]

_LOOK_S = 0.2


class StopSign:
    """Says whether to end; looks at the disk now and then only, for it is asked all the time."""

    def __init__(
        self, collection: Collection, right: RebuildRight, should_stop: Callable[[], bool]
    ) -> None:
        self._collection = collection
        self._right = right
        self._should_stop = should_stop
        self._is_cancelled = False
        self._looked_at = -_LOOK_S

    def __call__(self) -> bool:
        """Return whether to end.

        Raises:
            CollectionNotFoundError: the collection was deleted. Open files outlive their folder:
                hours of work could go where nobody finds it.
        """
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            self._collection.check_alive()
            self._is_cancelled = self._right.is_cancelled
        return self._is_cancelled or self._should_stop()
