"""What a rebuild will do, does and has done, in words."""

from __future__ import annotations

from app.library.versions import Version
from app.work.rebuilding import RebuildState
from indexer.collections.rollback import RollbackReport
from indexer.reindexing.progress import Phase
from indexer.reindexing.report import ReindexReport
from indexer.wording import count_text, duration_text, size_text, steps_text

__all__ = ["done_text", "plan_lines", "progress_text", "reverted_text", "share_of_phase"]

_PHASES: dict[Phase, str] = {
    "comparing": "looking at what is there",
    "embedding": "embedding",
    "waiting": "waiting until indexing is done",
    "indexing": "building the search index",
    "measuring": "trying it out",
    "swapping": "taking its place",
}


def plan_lines(report: ReindexReport) -> list[str]:
    """Return what a planned rebuild comes to, a sentence each."""
    plan = report.plan
    lines = []
    if not plan.makes_content:
        lines.append(
            "Model, steps and passages are as now: only the search index is made anew, from the "
            "vectors there are."
        )
    else:
        what = count_text(report.documents, "document")
        if plan.may_embed:
            lines.append(f"All of {what} are embedded anew. Nothing is read from their files.")
        else:
            lines.append(f"All of {what} are stored anew; their vectors are kept.")
    if plan.draft is not None:
        lines.append("What an earlier rebuild with these settings has done is gone on with.")
    if plan.discards is not None:
        lines.append("An unfinished rebuild with other settings is thrown away.")
    lines.append(f"It takes about {size_text(report.needed_bytes)} more on the disk.")
    return lines


def progress_text(state: RebuildState) -> str:
    """Return where a rebuild that goes on is."""
    phase, done, total, left = _numbers(state)
    if phase is None:
        return "Rebuilding: waiting for its turn"
    facts = [f"Rebuilding: {phase}"]
    if total:
        facts.append(f"{done:,} of {count_text(total, 'passage')}")
    if left is not None:
        facts.append(f"{duration_text(left)} left")
    return " · ".join(facts)


def share_of_phase(state: RebuildState) -> float:
    """Return how much of its present phase is done, 0 to 1."""
    _, done, total, _ = _numbers(state)
    return min(done / total, 1.0) if total else 0.0


def done_text(report: ReindexReport) -> str:
    """Return what a rebuild came to that is done."""
    settings = report.plan.settings
    made = f"{settings.model}, {steps_text(settings.steps)}"
    embedded = f"{count_text(report.embedded, 'text')} embedded" if report.embedded else ""
    reused = f"{count_text(report.reused, 'vector')} kept" if report.reused else ""
    facts = ", ".join(fact for fact in (embedded, reused) if fact)
    return (
        f"Rebuilt with {made}{f' ({facts})' if facts else ''}. The version before is kept: you can "
        "return to it."
    )


def reverted_text(report: RollbackReport, version: Version | None) -> str:
    """Return what a return to the version before came to."""
    parts = ["Back at the version before" + (f": {version.text()}." if version else ".")]
    if report.problem:
        parts.append(
            "The one that was searched cannot be read, so that nothing could be compared: "
            f"{report.problem}"
        )
    if report.missing:
        parts.append(
            f"Not in it: {count_text(report.missing, 'document')} that came in or changed since. "
            "Add them again, or return once more."
        )
    if report.surplus:
        parts.append(
            f"In it again: {count_text(report.surplus, 'document')} that had been deleted since."
        )
    return " ".join(parts)


def _numbers(state: RebuildState) -> tuple[str | None, int, int, float | None]:
    """Return phase, done, total and seconds left: our own, or as another process noted them."""
    progress, note = state.progress, state.note
    if progress is not None:
        left = progress.seconds_left
        return _PHASES[progress.phase], progress.done, progress.total, left
    if note is not None and note.is_running:
        phase = next((text for phase, text in _PHASES.items() if phase == note.phase), "beginning")
        return phase, note.done, note.total, note.seconds_left
    return ("beginning" if state.is_running else None), 0, 0, None
