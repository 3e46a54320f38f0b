"""What is to be told about files: those to be done, those just done, those that need a hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from app.work.activity import Activity, Finished
from app.work.job_queue import Job
from indexer.indexing.discovery import display_path
from indexer.indexing.index_report import FileAtWork
from indexer.storage.ledger import STATES, UNFINISHED, FileState, Ledger, LedgerRow
from indexer.wording import count_text

__all__ = [
    "FileLine",
    "Problem",
    "finished_lines",
    "paused_count",
    "problem_count",
    "problem_paths",
    "problems",
    "problems_text",
    "tally_text",
    "unfinished_count",
    "unfinished_lines",
]

PROBLEM_STATES: tuple[FileState, ...] = ("failed", "no_text", "skipped")

_LABELS: dict[FileState, str] = {
    "queued": "waiting",
    "extracting": "reading",
    "embedding": "embedding",
    "ready": "ready",
    "no_text": "no text",
    "failed": "failed",
    "skipped": "skipped",
}


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file in a list.

    Args:
        name: its file name.
        state: how far it is.
        label: the state in words.
        detail: what else there is to say: chunks, or the cause with a hint.
    """

    name: str
    state: FileState
    label: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be searched.

    Args:
        document_id: id of its document.
        path: where it is.
        line: what there is to say about it.
    """

    document_id: str
    path: Path
    line: FileLine


def unfinished_lines(ledger: Ledger, activity: Activity, *, limit: int) -> list[FileLine]:
    """Return the first files that are still to be done, those at work before the others.

    Args:
        ledger: of the collection.
        activity: what goes on in the collection.
        limit: how many lines are wanted.
    """
    lines: list[FileLine] = []
    running = activity.running
    if running is not None:
        at_work = running.progress.at_work if running.progress is not None else ()
        lines += [_at_work_line(file) for file in at_work[:limit]]
        known = {file.source for file in at_work}
        for row in ledger.rows(states=UNFINISHED, limit=limit + len(known)):
            if row.source not in known:
                state: FileState = "queued" if row.state == "embedding" else row.state
                lines.append(FileLine(PurePath(row.source).name, state, _LABELS[state]))
        if running.progress is None:  # its files are not in the ledger yet
            lines += _queued_lines(running.job, limit)
    for job in activity.waiting:
        if len(lines) < limit:
            lines += _queued_lines(job, limit - len(lines))
    order: dict[FileState, int] = {"embedding": 0, "extracting": 1}
    lines.sort(key=lambda line: order.get(line.state, 2))
    return lines[:limit]


def unfinished_count(activity: Activity) -> int:
    """Return how many files are to be done still, as far as that is known."""
    count = sum(len(job.paths) for job in activity.waiting if job.kind == "files")
    running = activity.running
    if running is None:
        return count
    if running.progress is not None:
        return count + running.progress.files_total - running.progress.files_done
    return count + (len(running.job.paths) if running.job.kind == "files" else 0)


def paused_count(ledger: Ledger, activity: Activity) -> int:
    """Return how many files of paused jobs are to be done, as far as they were looked at."""
    if activity.running is not None or not activity.stopped:
        return 0  # else those of the job at work would be among them
    states = ledger.totals().states
    return sum(states.get(state, 0) for state in UNFINISHED)


def _queued_lines(job: Job, limit: int) -> list[FileLine]:
    if job.kind == "folder":
        return []
    names = (display_path(Path(path.name)) for path in job.paths[:limit])
    return [FileLine(name, "queued", _LABELS["queued"]) for name in names]


def _at_work_line(file: FileAtWork) -> FileLine:
    label = f"embedding {file.done:,} of {count_text(file.total, 'passage')}"
    return FileLine(PurePath(file.source).name, "embedding", label)


def finished_lines(finished: Sequence[Finished]) -> list[FileLine]:
    """Return what became of files, in the given order."""
    lines = []
    for file in finished:
        outcome = file.outcome
        if outcome.state == "ready":
            detail = count_text(outcome.chunks, "passage")
            if outcome.change == "unchanged":
                detail += ", known already"
        else:
            detail = _sentence(outcome.message, outcome.hint)
        name = Path(outcome.source).name
        label = _label(outcome.state, outcome.message)
        lines.append(FileLine(name, outcome.state, label, detail))
    return lines


def tally_text(activity: Activity) -> str:
    """Return what became of a collection's files in one line, such as "45 ready · 2 failed"."""
    counts = {state: count for (_, state), count in activity.counts.items()}
    return " · ".join(
        f"{counts[state]:,} {_LABELS[state]}" for state in STATES if counts.get(state)
    )


def problems_text(states: dict[str, int]) -> str:
    """Return how many files need a hand, and why, by the ledger's counts."""
    causes = [
        f"{states[state]:,} {_LABELS[state]}" for state in PROBLEM_STATES if states.get(state)
    ]
    count = problem_count(states)
    return f"{count_text(count, 'file')} could not be searched: {', '.join(causes)}"


def problem_paths(ledger: Ledger) -> list[Path]:
    """Return all files that cannot be searched."""
    return [Path(os.fsdecode(row.path)) for row in ledger.rows(states=PROBLEM_STATES)]


def problem_count(states: dict[str, int]) -> int:
    """Return how many files need a hand, by the ledger's counts."""
    return sum(states.get(state, 0) for state in PROBLEM_STATES)


def problems(ledger: Ledger, *, offset: int, limit: int) -> list[Problem]:
    """Return one page of the files that cannot be searched, with cause and hint."""
    rows = ledger.rows(offset=offset, limit=limit, states=PROBLEM_STATES)
    return [_problem(row) for row in rows]


def _problem(row: LedgerRow) -> Problem:
    path = Path(os.fsdecode(row.path))
    detail = _sentence(row.message or "", row.hint or "")
    label = _label(row.state, row.message or "")
    return Problem(
        document_id=row.document_id,
        path=path,
        line=FileLine(display_path(Path(path.name)), row.state, label, detail),
    )


def _label(state: FileState, message: str) -> str:
    is_scan = state == "no_text" and "scanned?" in message
    return "no text: scanned?" if is_scan else _LABELS[state]


def _sentence(message: str, hint: str) -> str:
    said = [part[:1].upper() + part[1:].rstrip(".") for part in (message, hint) if part]
    return " ".join(part if part.endswith("?") else f"{part}." for part in said)
