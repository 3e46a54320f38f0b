"""What is to be told about files: those of a job, those just done, and those that need a hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.activity import Finished
from app.job_queue import Job
from indexer.discovery import display_path
from indexer.documents import document_id
from indexer.ledger import UNFINISHED, FileState, Ledger, LedgerRow
from indexer.wording import count_text

__all__ = ["FileLine", "Problem", "finished_lines", "job_lines", "problem_count", "problems"]

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


def job_lines(ledger: Ledger, job: Job, *, is_running: bool, limit: int) -> list[FileLine]:
    """Return the first files of a job that are still to be done, those at work before the others.

    Args:
        ledger: of the job's collection.
        job: one that lists its files.
        is_running: the job is at work, so that the ledger's states are about this run.
        limit: how many lines are wanted.
    """
    ids = {document_id(display_path(path)): path for path in job.paths}
    rows = ledger.get(list(ids)) if is_running else {}
    lines = []
    for identity, path in ids.items():
        state = rows[identity].state if identity in rows else "queued"
        if state in UNFINISHED:
            lines.append(FileLine(display_path(Path(path.name)), state, _LABELS[state]))
    lines.sort(key=lambda line: line.state == "queued")
    return lines[:limit]


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
        lines.append(FileLine(name, outcome.state, _LABELS[outcome.state], detail))
    return lines


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
    return Problem(
        document_id=row.document_id,
        path=path,
        line=FileLine(display_path(Path(path.name)), row.state, _LABELS[row.state], detail),
    )


def _sentence(message: str, hint: str) -> str:
    said = [part[:1].upper() + part[1:].rstrip(".") for part in (message, hint) if part]
    return ". ".join(said) + "." if said else ""
