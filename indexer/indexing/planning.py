"""What a run has to do: compares the files that are there with the ledger.

Goes by stamps; content is read by those who do the work.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.documents import document_id
from indexer.indexing.index_report import FileOutcome, IndexOptions

if TYPE_CHECKING:
    from indexer.indexing.discovery import FileEntry, Root
    from indexer.storage.ledger import Ledger, LedgerRow

__all__ = ["TRANSIENT_CODES", "Missing", "WorkItem", "file_sha256", "find_missing", "plan"]

TRANSIENT_CODES = frozenset({"changed", "missing", "not_a_file", "unreadable"})
"""Causes that can pass without the file's size or time changing: such files are always retried."""

_BATCH = 500


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A file to read.

    Args:
        entry: the file.
        document_id: id of its document.
        stored_sha256: hash of the content that is stored; None when nothing is.
        stored_chunks: how many chunks that has.
    """

    entry: FileEntry
    document_id: str
    stored_sha256: str | None
    stored_chunks: int


def plan(
    entries: Iterable[FileEntry],
    ledger: Ledger | None,
    *,
    options: IndexOptions,
    given: frozenset[Path] = frozenset(),
) -> Iterator[list[WorkItem | FileOutcome]]:
    """Say of each file that it is to be read, or what is known of it already; in batches.

    Args:
        entries: the files that are there.
        ledger: what is known of them; None when nothing is.
        options: ``rehash`` and ``retry_failed`` are heeded.
        given: files that the caller named themselves.
    """
    named = frozenset(map(str, given))
    for batch in _batches(entries):
        rows = ledger.at([entry.key for entry in batch]) if ledger is not None else {}
        owners = _owners([entry for entry in batch if entry.key not in rows], ledger)
        decided: list[WorkItem | FileOutcome] = []
        for entry in batch:
            row = rows.get(entry.key)
            if row is None:
                identity = document_id(entry.source)
                if owners.setdefault(identity, entry.key) != entry.key:
                    decided.append(_name_clash(entry, identity))
                else:
                    decided.append(_work(entry, identity, None))
            elif _is_settled(
                row, entry, options, retry=options.retry_failed or entry.location in named
            ):
                decided.append(_known(row))
            else:
                decided.append(_work(entry, row.document_id, row))
        yield decided


def _owners(entries: Sequence[FileEntry], ledger: Ledger | None) -> dict[str, bytes]:
    """Return which files have the documents that new files would be."""
    if ledger is None or not entries:
        return {}
    rows = ledger.get([document_id(entry.source) for entry in entries])
    return {identity: row.path for identity, row in rows.items()}


def _batches(entries: Iterable[FileEntry]) -> Iterator[list[FileEntry]]:
    batch: list[FileEntry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_settled(row: LedgerRow, entry: FileEntry, options: IndexOptions, *, retry: bool) -> bool:
    if options.rehash or (row.size, row.mtime_ns) != (entry.size, entry.mtime_ns):
        return False  # rows of unfinished work have no stamps
    return row.state == "ready" or not (retry or row.code in TRANSIENT_CODES)


def _known(row: LedgerRow) -> FileOutcome:
    return FileOutcome(
        source=row.source,
        state=row.state,
        change="unchanged" if row.state == "ready" else None,
        chunks=row.chunks,
        code=row.code or "",
        message=row.message or "",
        hint=row.hint or "",
        document_id=row.document_id,
    )


def _work(entry: FileEntry, identity: str, row: LedgerRow | None) -> WorkItem:
    is_stored = row is not None and row.chunks > 0
    return WorkItem(
        entry=entry,
        document_id=identity,
        stored_sha256=row.sha256 if row is not None and is_stored else None,
        stored_chunks=row.chunks if row is not None else 0,
    )


def _name_clash(entry: FileEntry, identity: str) -> FileOutcome:
    # names with bytes beyond UTF-8 can look like names that spell those bytes out
    return FileOutcome(
        source=entry.source,
        state="failed",
        code="name_clash",
        message="another file's name, in other bytes, is shown in the same way",
        hint="rename one of the two files",
        document_id=identity,
    )


def file_sha256(path: Path) -> str | None:
    """Return the hash of a file's content, in hexadecimal; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Missing:
    """A file of the ledger that is not there any more.

    Args:
        row: what the ledger has of it.
        empty_folder: the empty folder that its path leads to, as a drive that is not mounted
            leaves one; None when there is no such doubt.
    """

    row: LedgerRow
    empty_folder: Path | None


def find_missing(
    ledger: Ledger, roots: Sequence[Root], *, within: Sequence[Path] | None = None
) -> Iterator[Missing]:
    """Yield the files of the ledger that were under the roots and are gone.

    What cannot be looked at is not gone, and nothing outside of the roots is looked at.

    Args:
        ledger: what is known of files.
        roots: where to look.
        within: look only at these files and folders; None looks at everything under the roots.
    """
    seen: set[bytes] = set()
    emptiness: dict[Path, bool] = {}
    for root in roots:
        for place in _places(root.path, within):
            for path in ledger.paths_under(os.fsencode(place)):
                row = ledger.at([path]).get(path) if _is_gone(path) and path not in seen else None
                if row is None:
                    continue
                seen.add(path)
                folder = _nearest_folder(Path(os.fsdecode(path)).parent, root.path)
                if folder not in emptiness:
                    emptiness[folder] = _is_empty(folder)
                yield Missing(row, folder if emptiness[folder] else None)


def _places(root: Path, within: Sequence[Path] | None) -> list[Path]:
    if within is None or any(root.is_relative_to(path) for path in within):
        return [root]
    return [path for path in within if path.is_relative_to(root)]


def _is_gone(path: bytes) -> bool:
    try:
        # a link put in the file's place leads to another document
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # no permission, a network drive that does not answer
        return False


def _nearest_folder(folder: Path, root: Path) -> Path:
    while folder != root and folder != folder.parent and not _is_folder(folder):
        folder = folder.parent
    return folder


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as listing:
            return next(listing, None) is None
    except OSError:
        return True  # the root itself went away or closed since the run began
