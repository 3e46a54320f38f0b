"""What is being indexed; redrawn by itself while something goes on."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.activity import Activity, HeldJob, RunningJob, time_left_s
from app.file_states import FileLine, finished_lines, job_lines
from app.job_queue import Job
from app.rendering import markdown_text, plain, visible_line
from app.services import Services
from indexer.wording import count_text, duration_text

__all__ = ["show_activity"]

_LINES = 30
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
        _draw(parts, name, activity)

    st.fragment(draw, run_every=0.5 if is_busy else 5.0)()


def _draw(parts: Services, name: str, activity: Activity) -> None:
    # Two places that are always there: were the list to move up when the bar goes, the browser
    # would show the old one below the new one for a moment.
    head, files = st.container(), st.container()
    with head:
        if activity.running is not None:
            _draw_running(parts, activity.running)
        for held in activity.held:
            _draw_held(parts, held)
        for job in activity.stopped:
            st.info(f"Stopped: {_job_text(job)}", icon=":material/stop_circle:")
            _job_buttons(parts, job, resume="Continue")
        for job in activity.waiting:
            if job.kind == "folder":
                st.caption(f"Waiting: {_job_text(job)}")
    lines = _unfinished_lines(parts, name, activity)
    lines += finished_lines(activity.finished[:_LINES])
    with files:
        if lines:
            st.html(_file_list(lines))
        if activity.finished and not activity.is_busy:
            st.button(
                "Clear this list",
                icon=":material/clear_all:",
                type="tertiary",
                on_click=parts.worker.forget_finished,
                args=(name,),
            )


def _unfinished_lines(parts: Services, name: str, activity: Activity) -> list[FileLine]:
    running = [activity.running.job] if activity.running else []
    lines: list[FileLine] = []
    with parts.collections.use(name) as opened:
        for job in [*running, *activity.waiting]:
            if job.kind == "files" and len(lines) < _LINES:
                lines += job_lines(
                    opened.ledger, job, is_running=job in running, limit=_LINES - len(lines)
                )
    return lines


def _draw_held(parts: Services, held: HeldJob) -> None:
    st.warning(f"Indexing is on hold. {markdown_text(held.reason)}", icon=":material/pause_circle:")
    if held.is_retried:
        st.caption("It goes on by itself as soon as that is over.")
    _job_buttons(parts, held.job, resume="Try again")


def _draw_running(parts: Services, running: RunningJob) -> None:
    progress = running.progress
    if progress is None:
        st.progress(0.0, text="Looking for files …")
    else:
        share = progress.files_done / progress.files_total if progress.files_total else 0.0
        facts = [f"{progress.files_done:,} of {count_text(progress.files_total, 'file')}"]
        if progress.chunks_stored:
            facts.append(f"{count_text(progress.chunks_stored, 'passage')} ready")
        left = time_left_s(progress)
        if left is not None:
            facts.append(f"{duration_text(left)} left")
        st.progress(min(share, 1.0), text="Indexing: " + " · ".join(facts))
    with st.container(horizontal=True, vertical_alignment="center"):
        if running.is_stopping:
            st.caption("Stopping after the current batch …")
        else:
            st.button(
                "Stop indexing",
                icon=":material/stop:",
                key=f"stop-{running.job.id}",
                on_click=parts.worker.stop,
                args=(running.job,),
            )
        if running.job.kind == "folder":
            st.caption(markdown_text(str(running.job.paths[0])))


def _job_buttons(parts: Services, job: Job, *, resume: str) -> None:
    with st.container(horizontal=True):
        if st.button(resume, icon=":material/play_arrow:", key=f"resume-{job.id}"):
            parts.worker.resume(job)
            st.rerun()
        if st.button("Drop it", icon=":material/close:", key=f"drop-{job.id}"):
            parts.worker.discard(job)
            st.rerun()


def _job_text(job: Job) -> str:
    if job.kind == "folder":
        return markdown_text(str(job.paths[0]))
    if len(job.paths) == 1:
        return markdown_text(job.paths[0].name)
    return count_text(len(job.paths), "file")


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
