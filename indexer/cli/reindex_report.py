"""What ``gircse reindex`` did or would do, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.generation_view import measured_text
from indexer.cli.reindex_progress import phase_text
from indexer.wording import count_text, duration_text, size_text, time_text

if TYPE_CHECKING:
    from indexer.cli.terminal import Terminal
    from indexer.reindexing.rebuild_note import RebuildNote
    from indexer.reindexing.report import ReindexReport

__all__ = ["note_as_dict", "note_text", "print_reindex", "reindex_as_dict"]


def reindex_as_dict(report: ReindexReport, *, collection: str) -> dict[str, object]:
    """Return a rebuild as plain values for JSON."""
    plan = report.plan
    return {
        "collection": collection,
        "outcome": report.outcome,
        "embeds": plan.may_embed,
        "changes": list(plan.changes),
        "resumes": plan.draft is not None,
        "model": plan.settings.model,
        "steps": plan.settings.steps,
        "before": report.before.as_dict(),
        "after": None if report.after is None else report.after.as_dict(),
        "chosen": None if report.chosen is None else report.chosen.as_dict(),
        "needed_bytes": report.needed_bytes,
        "documents": report.documents,
        "chunks": report.chunks,
        "embedded": report.embedded,
        "reused": report.reused,
        "seconds": report.seconds,
        "model_seconds": report.model_seconds,
        "notes": list(report.notes),
    }


def print_reindex(terminal: Terminal, report: ReindexReport, *, collection: str) -> None:
    """Print what happened, and what can be done next."""
    for note in report.notes:
        terminal.note(note)
    if report.outcome == "planned":
        _print_plan(terminal, report)
    elif report.outcome == "done":
        _print_done(terminal, report, collection)
    elif report.outcome == "cancelled":
        terminal.note(f"Cancelled; {collection!r} is as it was.")
    else:
        kept = ""
        if report.plan.makes_content:
            kept = f" What was embedded is kept; go on with: gircse reindex {collection}"
        terminal.note(f"Stopped; {collection!r} is as it was.{kept}")


def note_as_dict(note: RebuildNote) -> dict[str, object]:
    """Return what is known of a rebuild that has not come to its end as plain values for JSON."""
    return {
        "state": note.state,
        "pid": note.pid,
        "started_at": note.started_at,
        "purpose": note.purpose,
        "phase": note.phase,
        "done": note.done,
        "total": note.total,
        "seconds_left": note.seconds_left,
        "message": note.message,
        "log": note.log,
        "keeps_work": note.keeps_work,
    }


def note_text(note: RebuildNote, *, collection: str) -> str:
    """Return one line about a rebuild that runs, or that came to no end."""
    count = f"{note.done:,} of {count_text(note.total, 'chunk')}" if note.total else ""
    log = f"; its output is in {note.log}" if note.log else ""
    if note.is_running:
        left = "" if note.seconds_left is None else f"{duration_text(note.seconds_left)} left"
        parts = [phase_text(note.phase).lower() if note.phase else "", count, left]
        said = ", ".join(part for part in parts if part)
        return f"being rebuilt by process {note.pid}: {note.purpose}; {said or 'beginning'}{log}"
    when = f"begun {time_text(note.started_at)}"
    ways = (
        f"go on with: gircse reindex {collection}; give it up with: --cancel"
        if note.keeps_work
        else f"nothing of it is left; forget it with: gircse reindex {collection} --cancel"
    )
    if note.state == "failed":
        return f"a rebuild ({note.purpose}, {when}) failed: {note.message}{log}; {ways}"
    return (
        f"a rebuild ({note.purpose}, {when}) was stopped{f' at {count}' if count else ''}; {ways}"
    )


def _print_plan(terminal: Terminal, report: ReindexReport) -> None:
    plan = report.plan
    documents = count_text(report.documents, "document")
    chunks = count_text(report.chunks, "chunk")
    if plan.makes_content:
        how = "embed" if plan.may_embed else "store"
        terminal.line(f"Would {how} {documents} ({chunks} now) anew:")
        for change in plan.changes:
            terminal.line(f"  {change}")
        if plan.shares_vectors:
            terminal.line("Texts that stay equal keep their vectors, with no model.")
    else:
        terminal.line(f"Would build an index over the stored vectors of {chunks}, with no model.")
    if plan.discards is not None:
        terminal.line(f"Would throw away the unfinished rebuild in {plan.discards}.")
    chosen, before = report.chosen, report.before
    assert chosen is not None
    terminal.line(
        f"Index: {chosen.index}, in {chosen.store}; now: {before.index}, in {before.store}"
    )
    if chosen.why:
        terminal.line(f"  {chosen.why}")
    terminal.line(f"Needs about {size_text(report.needed_bytes)} more on the disk.")


def _print_done(terminal: Terminal, report: ReindexReport, collection: str) -> None:
    after = report.after
    assert after is not None
    if report.plan.makes_content:
        reused = f"; {report.reused:,} kept their vectors" if report.reused else ""
        terminal.line(f"Embedded {count_text(report.embedded, 'text')}{reused}.")
    if after.why:
        terminal.line(f"Index: {after.index}: {after.why}")
    if after.measured:
        terminal.line(f"Measured: {measured_text(after)}")
    terminal.line(
        f"{collection!r} is at generation {after.number} now: {count_text(report.chunks, 'chunk')}"
        f" of {count_text(report.documents, 'document')}, {after.index} index in {after.store},"
        f" after {report.seconds:.1f} s."
    )
    terminal.note(
        f"Generation {report.before.number} is kept; return to it with: gircse collections "
        f"rollback {collection}"
    )
