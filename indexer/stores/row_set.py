"""Sets of archive rows that stay small: one byte for each row of the archive, a million in 1 MB.

Knows numbers only. A Python set of as many takes sixty times the room.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RowSet"]


class RowSet:
    """Rows, each at most once; never changes.

    Args:
        flags: (N,) bool, true for the rows that are in it.
    """

    __slots__ = ("_count", "_flags")

    def __init__(self, flags: NDArray[np.bool_]) -> None:
        self._flags = flags
        self._count = int(np.count_nonzero(flags))

    @classmethod
    def of(cls, rows: NDArray[np.int64] | Iterable[int]) -> RowSet:
        """Return the set of these rows.

        Raises:
            ValueError: one of them is negative.
        """
        numbers = rows if isinstance(rows, np.ndarray) else np.fromiter(rows, dtype=np.int64)
        if not len(numbers):
            return cls(np.zeros(0, dtype=bool))
        if numbers.min() < 0:
            raise ValueError(f"there is no row {numbers.min()}")
        flags = np.zeros(int(numbers.max()) + 1, dtype=bool)
        flags[numbers] = True
        return cls(flags)

    def __len__(self) -> int:
        return self._count

    def __and__(self, other: RowSet) -> RowSet:
        length = min(len(self._flags), len(other._flags))
        return RowSet(self._flags[:length] & other._flags[:length])

    def __or__(self, other: RowSet) -> RowSet:
        longer, shorter = sorted((self._flags, other._flags), key=len, reverse=True)
        flags = longer.copy()
        flags[: len(shorter)] |= shorter
        return RowSet(flags)

    def __sub__(self, other: RowSet) -> RowSet:
        flags = self._flags.copy()
        length = min(len(flags), len(other._flags))
        flags[:length] &= ~other._flags[:length]
        return RowSet(flags)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowSet):
            return NotImplemented
        return len(self) == len(other) == len(self & other)

    __hash__ = None  # type: ignore[assignment]  # compared by content, which takes its time

    def rows(self) -> NDArray[np.int64]:
        """Return the rows, ascending."""
        return np.flatnonzero(self._flags).astype(np.int64, copy=False)

    def has(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each of the rows, -1 included, whether it is in the set."""
        found = np.zeros(len(rows), dtype=bool)
        known = (rows >= 0) & (rows < len(self._flags))
        found[known] = self._flags[rows[known]]
        return found

    def packed(self) -> NDArray[np.uint8]:
        """Return eight rows a byte, the first one in the lowest bit, as FAISS's selectors want."""
        return np.packbits(self._flags, bitorder="little")

    @classmethod
    def unpacked(cls, content: NDArray[np.uint8]) -> RowSet:
        """Return the set that ``packed()`` packed."""
        return cls(np.unpackbits(content, bitorder="little").astype(bool))
