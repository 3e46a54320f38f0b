"""The file that a document was made from: where it is, and whether it still is what was indexed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.work.upload_names import safe_name
from indexer.errors import ExtractionError
from indexer.extraction.reading import read_file
from indexer.file_times import modified_ns

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.storage.ledger import LedgerRow

__all__ = ["Original", "OriginalState", "original_of", "read_original"]

OriginalState = Literal["there", "changed", "missing", "unreadable", "unknown"]

_MAX_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Original:
    """The file behind a document.

    Args:
        path: where it is.
        name: its own name, safe for a download; uploads keep the name that they came with.
        sha256: of what was indexed, in hexadecimal; empty when that is not known.
        state: ``there`` as far as size and time can tell; ``unknown`` where nothing was recorded.
    """

    path: Path
    name: str
    sha256: str
    state: OriginalState

    @property
    def problem(self) -> str:
        """What is wrong with it and what to do; empty when nothing is."""
        return _PROBLEMS.get(self.state, "")


_PROBLEMS = {
    "changed": "The file was changed since it was indexed. Below is the text that was indexed; "
    "index the file again to see it as it is now.",
    "missing": "The file is not where it was when it was indexed: it was moved, renamed or "
    "deleted, or its disk is not connected. Below is the text that was indexed.",
    "unreadable": "This program may not read the file any more. Below is the text that was "
    "indexed; allow it to read the file to see that again.",
    "unknown": "It is not recorded which file this is from, so its text is all that can be shown.",
}


def original_of(collection: Collection, document_id: str) -> Original:
    """Return the file behind a document of an open collection."""
    row = collection.ledger.get([document_id]).get(document_id)
    if row is None or row.sha256 is None:
        return Original(Path(), "document", "", "unknown")
    path = Path(os.fsdecode(row.path))
    return Original(path, safe_name(path.name), row.sha256, _state(path, row))


def _state(path: Path, row: LedgerRow) -> OriginalState:
    try:
        if not path.is_file():
            return "missing"
        status = path.stat()
    except OSError:
        return "unreadable"
    if not os.access(path, os.R_OK):
        return "unreadable"
    if status.st_size != row.size:
        return "changed"
    if modified_ns(status) == row.mtime_ns:
        return "there"
    try:
        digest = _digest(path, status.st_size, status.st_mtime_ns)
    except ExtractionError:
        return "unreadable"
    return "there" if digest == row.sha256 else "changed"


@lru_cache(maxsize=1024)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    """Return the SHA-256 of a file; read once for each size and time that it has had."""
    return hashlib.sha256(read_file(path, max_bytes=_MAX_BYTES).data).hexdigest()


def read_original(original: Original) -> bytes:
    """Return the bytes that were indexed.

    Others are not given out: whoever may search a collection may see what is in it, and not what
    was put in its place since.

    Raises:
        ExtractionError: the file is gone, cannot be read or was changed.
    """
    content = read_file(original.path, max_bytes=_MAX_BYTES).data
    if hashlib.sha256(content).hexdigest() != original.sha256:
        raise ExtractionError(
            "changed",
            "the file was changed since it was indexed",
            hint="index it again to have it as it is now",
        )
    return content
