"""What ``index.json`` says of the FAISS file beside it.

Knows values only. The file carries its own checksum, so that a changed digit does not pass.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.storage.sealed_json import read_sealed, sealed_text

if TYPE_CHECKING:
    from indexer.stores.row_set import RowSet

__all__ = ["IndexStamp"]

_FILE_SHA256 = "file_sha256"  # what index.json calls the checksum of index.faiss, having its own
_FORMERLY = "IDMap2,Flat"  # what flat indexes were called before there were others


@dataclass(frozen=True, slots=True)
class IndexStamp:
    """What an index file is.

    Args:
        token: equal to the one in the database, or the file belongs to another state of it.
        change: number of the last change of the database that the index contains.
        index_type: what was asked for, a name in ``INDEX_TYPES``.
        dim: width of the vectors.
        total: how many there are, those left behind included.
        sha256: checksum of the file.
        built_as: what it is: ``flat`` while there are too few vectors for what was asked for.
        built_for: how many rows it was trained and parted for.
        effort: ``efSearch`` or ``nprobe``; 0 for a scan.
        left_behind: rows that no chunk uses any more and that the index could not let go of:
            ``RowSet.packed()``, deflated, as base64.
        size_bytes: size of the file.
        modified_ns: modification time of the file, nanoseconds since the epoch.
        inode: number of the file in its file system.
    """

    token: str
    change: int
    index_type: str
    dim: int
    total: int
    sha256: str
    built_as: str = "flat"
    built_for: int = 0
    effort: int = 0
    left_behind: str = ""
    size_bytes: int = 0
    modified_ns: int = 0
    inode: int = 0

    def is_of(self, status: os.stat_result) -> bool:
        """Return whether a file is the very one that was written, by what the system says."""
        seen = (status.st_size, status.st_mtime_ns, status.st_ino)
        return seen == (self.size_bytes, self.modified_ns, self.inode)

    def left_behind_rows(self) -> RowSet:
        """Return the rows that the index holds in vain."""
        import numpy as np

        from indexer.stores.row_set import RowSet

        content = zlib.decompress(base64.b64decode(self.left_behind)) if self.left_behind else b""
        return RowSet.unpacked(np.frombuffer(content, dtype=np.uint8))

    @staticmethod
    def packed(rows: RowSet) -> str:
        """Return rows as ``left_behind`` has them."""
        content = zlib.compress(rows.packed().tobytes()) if len(rows) else b""
        return base64.b64encode(content).decode("ascii")

    def sealed_values(self) -> dict[str, object]:
        """Return the values of ``index.json``."""
        values: dict[str, object] = asdict(self)
        values[_FILE_SHA256] = values.pop("sha256")
        return values

    def is_text(self, content: bytes) -> bool:
        """Return whether these are the bytes that were written; of an older file, unknown: true."""
        is_older = _FILE_SHA256.encode() not in content
        return is_older or content == sealed_text(self.sealed_values()).encode("utf-8")

    @classmethod
    def read(cls, path: Path) -> IndexStamp:
        """Read ``index.json``.

        Raises:
            FileNotFoundError: there is none.
            OSError, ValueError, TypeError: it is not what was written; the message says why.
        """
        if f'"{_FILE_SHA256}"' in path.read_text(encoding="utf-8"):
            values: dict[str, Any] = read_sealed(path)
            values["sha256"] = values.pop(_FILE_SHA256)
        else:  # of before the file had a checksum of its own
            values = json.loads(path.read_text(encoding="utf-8"))
        if values["index_type"] == _FORMERLY:
            values["index_type"] = "flat"
        for one in fields(cls):
            expected = {"str": str, "int": int}[str(one.type)]
            if one.name in values and not isinstance(values[one.name], expected):
                raise TypeError(f"{one.name!r} is {values[one.name]!r}")
        return cls(**values)
