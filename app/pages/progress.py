"""What is being indexed; redrawn by itself while something goes on."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.library.file_states import (
    FileLine,
    finished_lines,
    paused_count,
    tally_text,
    unfinished_count,
    unfinished_lines,
)
from app.rendering import markdown_text, plain, visible_line
from app.services import Services
from app.work.activity import Activity, HeldJob, share_done, time_left_s
from app.work.job_queue import Job
from indexer.errors import CollectionNotFoundError
from indexer.wording import count_text, duration_text

__all__ = ["show_activity"]

_LINES = 100
_UNFINISHED_LINES = 40
_JOBS = 20
_ICONS = {
    "queued": "○",
    "extracting": "◔",
    "embedding": "◑",
    "ready": "✓",
    "no_text": "△",
    "failed": "✕",
    "skipped": "\N{EN DASH}",
}


def show_activity(parts: Services, name: str) -> None:
    """Draw the progress of indexing; a fragment, so that the page's other parts keep still."""
    is_busy = parts.activity(name).is_busy

    def draw() -> None:
        activity = parts.activity(name)
        if is_busy != activity.is_busy:
            st.rerun()  # totals and table have changed, or begin to
        try:
            _draw(parts, name, activity)
        except CollectionNotFoundError:
            st.rerun()  # another page, or another program, deleted or renamed it

    st.fragment(draw, run_every=0.5 if is_busy else 5.0)()


def _draw(parts: Services, name: str, activity: Activity) -> None:
    # Two places that are always there: were the list to move up when the bar goes, the browser
    # would show the old one below the new one for a moment.
    head, files = st.container(), st.container()
    with head:
        if activity.running is not None or activity.waiting:
            _draw_progress(parts, name, activity)
        for held in activity.held[:_JOBS]:
            _draw_held(parts, held)
        if activity.stopped:
            _draw_paused(parts, name, activity)
    with files:
        _draw_files(parts, name, activity)


def _draw_progress(parts: Services, name: str, activity: Activity) -> None:
    running = activity.running
    progress = running.progress if running is not None else None
    st.progress(share_done(progress) if progress else 0.0, text=_progress_text(activity))
    with st.container(horizontal=True, vertical_alignment="center"):
        if running is not None and running.is_stopping:
            st.caption("Stopping after the current batch …")
        else:
            st.button(
                "Pause",
                icon=":material/pause:",
                on_click=parts.worker.pause,
                args=(name,),
                key="pause",
            )
            _cancel_button(parts, name)
        places = [running.job] if running is not None else []
        folders = [job for job in [*places, *activity.waiting] if job.kind == "folder"]
        if folders:
            st.caption(", ".join(_job_text(job) for job in folders[:_JOBS]))


def _progress_text(activity: Activity) -> str:
    running = activity.running
    later = _later_text(activity.waiting)
    if running is None:
        ahead = ""
        if activity.ahead is not None:
            ahead = f" until “{markdown_text(activity.ahead.job.collection)}” is indexed"
        return f"Waiting{ahead}: {later}"
    progress = running.progress
    if progress is None or progress.phase == "discovering":
        return f"Looking for files …{f' Then {later}' if later else ''}"
    facts = [f"{progress.files_done:,} of {count_text(progress.files_total, 'file')}"]
    if progress.chunks_stored:
        facts.append(f"{count_text(progress.chunks_stored, 'passage')} ready")
    left = time_left_s(progress)
    if left is not None:
        facts.append(f"{duration_text(left)} left")
    if later:
        facts.append(f"then {later}")
    return "Indexing: " + " · ".join(facts)


def _later_text(jobs: Sequence[Job]) -> str:
    """Return what jobs come to: files as far as they are counted, folders as such."""
    files = sum(len(job.paths) for job in jobs if job.kind == "files")
    folders = sum(job.kind == "folder" for job in jobs)
    counts = [count_text(files, "file")] if files else []
    counts += [count_text(folders, "folder")] if folders else []
    return " and ".join(counts)


def _cancel_button(parts: Services, name: str) -> None:
    st.button(
        "Cancel",
        icon=":material/close:",
        key="cancel",
        help="What is ready stays; files that were not come to are forgotten, and their copies go.",
        on_click=parts.worker.cancel,
        args=(name,),
    )


def _draw_paused(parts: Services, name: str, activity: Activity) -> None:
    jobs = activity.stopped
    texts = ", ".join(_job_text(job) for job in jobs[:_JOBS])
    with parts.collections.use(name) as opened:
        left = paused_count(opened.ledger, activity)
    rest = f" · {count_text(left, 'file')} still to do" if left else ""
    st.info(f"Paused: {texts}{rest}", icon=":material/pause_circle:")
    with st.container(horizontal=True):
        st.button(
            "Continue",
            icon=":material/play_arrow:",
            key="continue",
            on_click=parts.worker.go_on,
            args=(name,),
        )
        if activity.running is None and not activity.waiting:
            _cancel_button(parts, name)


def _draw_held(parts: Services, held: HeldJob) -> None:
    st.warning(f"Indexing is on hold. {markdown_text(held.reason)}", icon=":material/warning:")
    if held.is_retried:
        st.caption("It goes on by itself as soon as that is over.")
    job = held.job
    with st.container(horizontal=True):
        st.button(
            "Try again",
            icon=":material/refresh:",
            key=f"resume-{job.id}",
            on_click=parts.worker.resume,
            args=(job,),
        )
        st.button(
            "Cancel",
            icon=":material/close:",
            key=f"drop-{job.id}",
            on_click=parts.worker.discard,
            args=(job,),
        )


def _job_text(job: Job) -> str:
    if job.kind == "folder":
        return markdown_text(str(job.paths[0]))
    if len(job.paths) == 1:
        return markdown_text(job.paths[0].name)
    return count_text(len(job.paths), "file")


def _draw_files(parts: Services, name: str, activity: Activity) -> None:
    with parts.collections.use(name) as opened:
        unfinished = unfinished_lines(opened.ledger, activity, limit=_UNFINISHED_LINES)
    finished = finished_lines(activity.finished[: _LINES - len(unfinished)])
    if not unfinished and not finished:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_counts_text(activity), width="content")
        if activity.finished and not activity.is_busy:
            st.button(
                "Clear this list",
                icon=":material/clear_all:",
                type="tertiary",
                on_click=parts.worker.forget_finished,
                args=(name,),
            )
    st.html(_file_list([*unfinished, *finished]))


def _counts_text(activity: Activity) -> str:
    waiting = unfinished_count(activity)
    parts = [f"{waiting:,} to do"] if waiting else []
    if activity.finished:
        parts.append(tally_text(activity))
    return " · ".join(parts)


def _file_list(lines: Sequence[FileLine]) -> str:
    rows = []
    for line in lines:
        # A cause wants a line of its own; a number of passages does not.
        is_short = line.state == "ready"
        state = f"{line.label} · {line.detail}" if is_short else line.label
        detail = "" if is_short else f'<span class="gs-detail">{plain(line.detail)}</span>'
        rows.append(
            f'<li class="gs-{line.state}"><span class="gs-sign" aria-hidden="true">'
            f'{_ICONS[line.state]}</span><span class="gs-name">{plain(visible_line(line.name))}'
            f'</span><span class="gs-state">{plain(state)}</span>{detail}</li>'
        )
    return f'<ul class="gs-files" aria-label="Files" tabindex="0">{"".join(rows)}</ul>'
