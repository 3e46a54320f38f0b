"""Which texts the collection has vectors of, in a form small enough for every machine.

Eight bytes of each text's hash. That one text is taken for another is as rare as it may be: it
costs a model call in the process that stores.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.storage.segments import disk_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["is_known", "read_known", "write_known"]

_FILE = "known.npy"
_HEAD_BYTES = 8


def write_known(folder: Path, hashes: Iterable[bytes]) -> None:
    """Write a sorted (N,) array of the heads of hashes into a folder.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    import numpy as np

    heads = bytearray()
    for key in hashes:
        heads += key[:_HEAD_BYTES]
    with disk_errors(folder / _FILE, needed=len(heads)):
        np.save(folder / _FILE, np.sort(np.frombuffer(heads, dtype=">u8").astype("<u8")))


def read_known(folder: Path) -> NDArray[np.uint64]:
    """Return what ``write_known`` wrote.

    Raises:
        StorageError: it cannot be read.
    """
    import numpy as np

    with disk_errors(folder / _FILE, needed=0):
        known: NDArray[np.uint64] = np.load(folder / _FILE, allow_pickle=False)
        return known


def is_known(known: NDArray[np.uint64], text_hash: bytes) -> bool:
    """Return whether a text is, as good as surely, among those of ``write_known``."""
    import numpy as np

    head = np.uint64(int.from_bytes(text_hash[:_HEAD_BYTES], "big"))
    place = int(np.searchsorted(known, head))
    return place < len(known) and bool(known[place] == head)
