"""What a run over files tells: options in, progress and outcomes on the way, a report at the end.

Plain values; the command line and the app show them as they see fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from indexer.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.extraction import ExtractionLimits
    from indexer.indexing.extraction_feed import OpenFeed
    from indexer.storage.ledger import FileState

__all__ = [
    "MOST_OUTCOMES",
    "Change",
    "FileAtWork",
    "FileOutcome",
    "IndexOptions",
    "IndexProgress",
    "IndexReport",
    "Phase",
]

MOST_OUTCOMES = 1000
"""Of each state, how many files a report names."""

Change = Literal["new", "updated", "unchanged", "removed", "missing"]
Phase = Literal["discovering", "indexing", "removing", "finishing"]


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How a run over files works.

    Args:
        jobs: processes that read files.
        max_memory_mb: MiB that everything but the model may take: the processes that read files,
            and what waits between them and the model; None sets no limit beyond ``limits``.
        lanes: calls of the model that may run at once: one for each device.
        include: patterns in the manner of .gitignore; when there are any, only files that match.
        exclude: patterns of files and folders to leave out.
        within: look only at these files and folders, absolute paths none of which is below another,
            as far as a run over the given paths comes by them; None looks at everything.
        prune: remove what was indexed under the given folders and is gone from them.
        dry_run: only say what would be done; nothing is written.
        rehash: read every file, also those whose size and time are as they were.
        retry_failed: read again what failed, was skipped or had no text, though it is as it was;
            files that are given themselves are always read again.
        limits: what reading one file may take; None stands for the defaults.
        flush: write what is derived to the disk at the end; without it the next run that does, or
            the next search, takes in what this one stored.
        open_feed: what reads the files; None reads them in processes of this machine.

    Raises:
        UsageError: ``jobs`` or ``lanes`` is below 1, or ``max_memory_mb`` too little for a run.
    """

    jobs: int = 1
    max_memory_mb: int | None = None
    lanes: int = 1
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    within: tuple[Path, ...] | None = None
    prune: bool = False
    dry_run: bool = False
    rehash: bool = False
    retry_failed: bool = False
    limits: ExtractionLimits | None = None
    flush: bool = True
    open_feed: OpenFeed | None = None

    def __post_init__(self) -> None:
        for name in ("jobs", "lanes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.max_memory_mb is not None:
            from indexer.indexing.memory_plan import check_max_memory

            check_max_memory(self.max_memory_mb * 2**20)


@dataclass(frozen=True, slots=True)
class FileAtWork:
    """A file whose texts the model is reading.

    Args:
        source: its path as shown.
        done: chunks that have a vector.
        total: all of its chunks.
    """

    source: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """Where a run is.

    Args:
        phase: what it is doing.
        files_total: files found so far; final once the phase is ``"indexing"``.
        files_done: those that are accounted for, unchanged ones included.
        files_unchanged: those of them that needed no work.
        chunks_stored: chunks that became searchable in this run.
        chunks_embedded: texts that the model has read in this run.
        current_source: the file whose work ended last; empty before the first.
        seconds: since the run began.
        model_seconds: of these, spent in the model.
        at_work: the files whose texts the model is reading, the first of them where they are many.
    """

    phase: Phase
    files_total: int
    files_done: int
    files_unchanged: int
    chunks_stored: int
    chunks_embedded: int
    current_source: str
    seconds: float
    model_seconds: float
    at_work: tuple[FileAtWork, ...] = ()


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file.

    Args:
        source: its path as shown.
        state: its state in the ledger afterwards.
        change: what the run did about it; None for files that have nothing to search.
        chunks: how many of its chunks can be searched.
        code: short stable word for the cause when it has no text, failed or was skipped.
        message: what happened then; when it is ready, what had to be left out, if anything.
        hint: what the user can do about it.
        document_id: id of its document; empty for folders and broken links.
    """

    source: str
    state: FileState
    change: Change | None = None
    chunks: int = 0
    code: str = ""
    message: str = ""
    hint: str = ""
    document_id: str = ""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The end of a run. Every file that was found is counted once.

    Args:
        new: files that became searchable.
        updated: files whose content was replaced.
        unchanged: files that are searchable as before.
        removed: files that were gone and were removed.
        missing: files that are gone and stay searchable until a run with ``prune``.
        kept: files that are gone but were not removed, since their folder is empty as that of a
            drive that is not mounted; ``notes`` has the folders.
        failed: files and folders that could not be read.
        no_text: files without text, such as scans.
        skipped: files of no known type, or too large.
        outcomes: files that are not ready, with cause and hint; of each state the first
            ``MOST_OUTCOMES``. The ledger has them all.
        notes: further sentences for the user.
        chunks: chunks that became searchable in this run.
        embedded: texts that the model read for them.
        reused: chunks whose vectors were there already.
        seconds: what the run took.
        model_seconds: of these, spent in the model.
        load_seconds: of these, spent on loading it.
        interrupted: the run was stopped; the next one goes on from there.
        dry_run: nothing was written; the numbers are what would be.
    """

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    missing: int = 0
    kept: int = 0
    failed: int = 0
    no_text: int = 0
    skipped: int = 0
    outcomes: tuple[FileOutcome, ...] = field(default=())
    notes: tuple[str, ...] = ()
    chunks: int = 0
    embedded: int = 0
    reused: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0
    load_seconds: float = 0.0
    interrupted: bool = False
    dry_run: bool = False

    def summary(self) -> str:
        """Return the closing line."""
        parts = [
            f"{self.new} new",
            f"{self.updated} updated",
            f"{self.unchanged} unchanged",
            f"{self.removed} removed",
            f"{self.failed} failed",
        ]
        if self.no_text:
            parts.append(f"{self.no_text} without text")
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        if self.missing:
            parts.append(f"{self.missing} missing (use --prune to remove them)")
        if self.kept:
            parts.append(f"{self.kept} missing (kept, as their folder is empty)")
        return ", ".join(parts)
