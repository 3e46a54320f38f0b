"""The files that a run has to read, kept on the disk: a run may find millions of them.

Written while files are looked for, read when that is done.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from indexer.indexing.discovery import FileEntry
from indexer.indexing.planning import WorkItem
from indexer.storage.segments import disk_errors

__all__ = ["WorkList"]

_LINE_BYTES = 512  # of one file, as an error names what was needed


class WorkList:
    """A list of files in a nameless file, which is gone with the process; a context manager.

    Args:
        folder: where there is room for it.

    Raises:
        StorageError: the disk is full or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with disk_errors(folder, needed=_LINE_BYTES):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, items: Iterable[WorkItem]) -> None:
        """Add files at the end.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        lines = [_line(item) for item in items]
        with disk_errors(self._folder, needed=_LINE_BYTES * len(lines)):
            self._file.write(b"".join(lines))
        self._count += len(lines)

    def __iter__(self) -> Iterator[WorkItem]:
        """Yield the files in the order in which they were added; one iteration at a time."""
        with disk_errors(self._folder, needed=_LINE_BYTES):
            self._file.seek(0)
        for line in self._file:
            location, size, mtime_ns, document_id, sha256, chunks = json.loads(line)
            yield WorkItem(FileEntry(location, size, mtime_ns), document_id, sha256, chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _line(item: WorkItem) -> bytes:
    entry = item.entry
    # JSON writes what stands for bytes beyond UTF-8 in a path as an escape, and reads it back
    values = [
        *(entry.location, entry.size, entry.mtime_ns),
        *(item.document_id, item.stored_sha256, item.stored_chunks),
    ]
    return json.dumps(values).encode("ascii") + b"\n"
