"""Counts what a run does and tells its caller, not more often than anybody can look."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexer.indexing.index_report import (
    MOST_OUTCOMES,
    FileAtWork,
    FileOutcome,
    IndexProgress,
    IndexReport,
    Phase,
)

if TYPE_CHECKING:
    from indexer.indexing.embedding import EmbeddingWriter

__all__ = ["OnOutcome", "OnProgress", "Tally"]

OnProgress = Callable[[IndexProgress], None]
OnOutcome = Callable[[FileOutcome], None]

_PROGRESS_S = 0.1


class Tally:
    """The numbers of one run.

    Args:
        writer: knows what the model did.
        on_progress: called at most ten times a second, and at every change of phase.
        on_outcome: called for every file once.
    """

    def __init__(
        self,
        writer: EmbeddingWriter,
        on_progress: OnProgress | None,
        on_outcome: OnOutcome | None,
    ) -> None:
        self.notes: list[str] = []
        self.chunks = 0
        self.reused = 0
        self.at_work: Callable[[], tuple[FileAtWork, ...]] = tuple
        self._writer = writer
        self._on_progress = on_progress
        self._on_outcome = on_outcome
        self._counts: Counter[str] = Counter()
        self._outcomes: list[FileOutcome] = []
        self._phase: Phase = "discovering"
        self._noted = 0
        self._total = 0
        self._current = ""
        self._started = time.perf_counter()
        self._told = 0.0

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self._phase = phase
        self.tell(force=True)

    def found(self, files: int) -> None:
        """Count files that were found."""
        self._total += files
        self.tell()

    def account(self, outcome: FileOutcome) -> None:
        """Count what became of a file."""
        counted = outcome.change or outcome.state
        self._counts[counted] += 1
        if outcome.change is None:
            if self._counts[counted] <= MOST_OUTCOMES:
                self._outcomes.append(outcome)
        elif outcome.message and outcome.state == "ready" and outcome.change != "unchanged":
            self._note(outcome)
        if outcome.change != "unchanged":
            self._current = outcome.source
        if self._on_outcome is not None:
            self._on_outcome(outcome)
        self.tell()

    def _note(self, outcome: FileOutcome) -> None:
        self._noted += 1
        if self._noted <= MOST_OUTCOMES:
            self.notes.append(f"{outcome.source}: {outcome.message}")

    def keep(self, outcome: FileOutcome) -> None:
        """Count a missing file that may only be out of reach."""
        self._counts["kept"] += 1
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    def tell(self, *, force: bool = False) -> None:
        """Report progress, if it is time to."""
        now = time.perf_counter()
        if self._on_progress is None or (now - self._told < _PROGRESS_S and not force):
            return
        self._told = now
        gone = ("removed", "missing", "kept")
        self._on_progress(
            IndexProgress(
                phase=self._phase,
                files_total=self._total,
                files_done=sum(n for name, n in self._counts.items() if name not in gone),
                files_unchanged=self._counts["unchanged"],
                chunks_stored=self.chunks,
                chunks_embedded=self._writer.embedded,
                current_source=self._current,
                seconds=now - self._started,
                model_seconds=self._writer.model_seconds,
                at_work=self.at_work(),
            )
        )

    def report(self, *, interrupted: bool, dry_run: bool) -> IndexReport:
        """Return the end of the run."""
        counts = self._counts
        unnamed = self._noted - MOST_OUTCOMES
        if unnamed > 0:
            self.notes.append(f"something was left out of {unnamed:,} more files")
        return IndexReport(
            new=counts["new"],
            updated=counts["updated"],
            unchanged=counts["unchanged"],
            removed=counts["removed"],
            missing=counts["missing"],
            kept=counts["kept"],
            failed=counts["failed"],
            no_text=counts["no_text"],
            skipped=counts["skipped"],
            outcomes=tuple(self._outcomes),
            notes=tuple(self.notes),
            chunks=self.chunks,
            embedded=self._writer.embedded,
            reused=self.reused,
            seconds=time.perf_counter() - self._started,
            model_seconds=self._writer.model_seconds,
            load_seconds=self._writer.load_seconds,
            interrupted=interrupted,
            dry_run=dry_run,
        )
