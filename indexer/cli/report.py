"""What a run of ``gircse index`` did, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from indexer.cli.terminal import Terminal, one_line
from indexer.wording import count_text

if TYPE_CHECKING:
    from indexer.indexing.index_report import FileOutcome, IndexReport

__all__ = ["Problem", "print_problem", "print_report", "report_as_dict"]

_MAX_PROBLEMS = 20
"""Problem files that text shows before it names the command that lists them all."""


def report_as_dict(
    report: IndexReport, changes: Sequence[FileOutcome], *, collection: str
) -> dict[str, object]:
    """Return a run as plain values for JSON; ``changes`` are the files that are not as before."""
    return {
        "collection": collection,
        "dry_run": report.dry_run,
        "interrupted": report.interrupted,
        "new": report.new,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "missing": report.missing,
        "failed": report.failed,
        "no_text": report.no_text,
        "skipped": report.skipped,
        "chunks": report.chunks,
        "embedded": report.embedded,
        "reused": report.reused,
        "seconds": report.seconds,
        "model_seconds": report.model_seconds,
        "load_seconds": report.load_seconds,
        "notes": list(report.notes),
        "files": [asdict(outcome) for outcome in changes],
    }


def print_report(
    terminal: Terminal,
    report: IndexReport,
    changes: Sequence[FileOutcome],
    *,
    collection: str,
) -> None:
    """Print what happened: problems with their causes, then the closing line."""
    if report.dry_run:
        for outcome in changes:
            terminal.line(f"{outcome.change or outcome.state:>9}  ", one_line(outcome.source))
    _print_problems(terminal, report.outcomes, collection)
    for note in report.notes:
        terminal.note(note)
    if report.interrupted:
        terminal.note("Stopped as asked; run the same command again to go on.")
    elif report.failed:
        terminal.note(
            f"Try failed files again with: gircse index PATH -c {collection} --retry-failed"
        )
    if report.chunks and not report.dry_run:
        terminal.note(
            f"{count_text(report.chunks, 'chunk')} in {report.seconds:.1f} s:"
            f" {report.embedded:,} embedded ({report.model_seconds:.1f} s in the model),"
            f" {report.reused:,} known already"
        )
    prefix = "dry run, nothing was changed: " if report.dry_run else ""
    terminal.line(prefix + report.summary())


class Problem(Protocol):
    """What is known of a file that failed: an outcome of a run or a row of the ledger."""

    @property
    def source(self) -> str:
        """Its path, as shown."""

    @property
    def code(self) -> str | None:
        """Short word for the cause."""

    @property
    def message(self) -> str | None:
        """What happened."""

    @property
    def hint(self) -> str | None:
        """What to do about it."""


def print_problem(terminal: Terminal, problem: Problem) -> None:
    """Print a failed file with cause and remedy."""
    terminal.line(("failed", "bold red"), "  ", one_line(problem.source))
    terminal.line("        ", one_line(problem.message or problem.code or "no cause given"))
    if problem.hint:
        terminal.line("        ", ("→ " + one_line(problem.hint), "dim"))


def _print_problems(terminal: Terminal, outcomes: Sequence[FileOutcome], collection: str) -> None:
    """Print each failed file, a long list shortened."""
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    for outcome in failed[:_MAX_PROBLEMS]:
        print_problem(terminal, outcome)
    if len(failed) > _MAX_PROBLEMS:
        terminal.line(
            f"… and {len(failed) - _MAX_PROBLEMS} more; all of them:"
            f" gircse status --failed -c {collection}"
        )
