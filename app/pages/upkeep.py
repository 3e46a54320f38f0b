"""What is done to a collection as a whole: rebuilds and checks, redrawn while one goes on."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.library.rebuild_texts import done_text, progress_text, share_of_phase
from app.rendering import markdown_text
from app.services import Services
from app.work.checking import CheckProgress, CheckState, Health
from app.work.rebuilding import RebuildState
from indexer.embedder import ModelError
from indexer.errors import CollectionNotFoundError, IndexerError
from indexer.wording import count_text

__all__ = ["NEWS", "show_upkeep"]

NEWS = "upkeep-news"
"""Key of the session's state for what is to be told until it was read."""

_SHOWN_PROBLEMS = 10


def show_upkeep(parts: Services, name: str, *, is_sound: bool) -> None:
    """Draw what goes on, and what came of it; a fragment, so that the rest keeps still.

    Args:
        parts: of the app.
        name: the collection.
        is_sound: it can be opened, so that it may be rebuilt.
    """

    def look() -> tuple[RebuildState, CheckState]:
        rebuild = parts.upkeep.rebuilds.state(name) if is_sound else RebuildState()
        return rebuild, parts.upkeep.health(name)

    rebuild, check = look()
    is_busy = rebuild.is_busy, check.running is not None

    def draw() -> None:
        try:
            rebuild, check = look()
        except CollectionNotFoundError:
            st.rerun()  # another page, or another program, deleted or renamed it
        if is_busy != (rebuild.is_busy, check.running is not None):
            st.rerun()  # totals, versions and what may be done have changed
        _draw_rebuild(parts, name, rebuild)
        _draw_check(parts, name, check)

    if news := st.session_state.get(NEWS):
        st.info(markdown_text(news), icon=":material/undo:")
        st.button("Got it", key="news-read", on_click=st.session_state.pop, args=(NEWS,))
    st.fragment(draw, run_every=0.5 if any(is_busy) else 5.0)()


def _draw_rebuild(parts: Services, name: str, state: RebuildState) -> None:
    if state.is_busy:
        st.progress(share_of_phase(state), text=progress_text(state))
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Cancel the rebuild", icon=":material/close:", key="cancel-rebuild"):
                with st.spinner("Waiting for the current batch …"):
                    _try(lambda: parts.upkeep.rebuilds.cancel(name))
            st.caption("The present version is searched until the new one is done.")
    elif state.is_stuck:
        st.warning(
            f"A rebuild is not done. {markdown_text(state.problem)}",
            icon=":material/pause_circle:",
        )
        with st.container(horizontal=True):
            if state.can_go_on and st.button(
                "Go on with it", icon=":material/play_arrow:", key="go-on-rebuild"
            ):
                _try(lambda: parts.upkeep.rebuilds.go_on(name))
            if st.button("Give it up", icon=":material/close:", key="drop-rebuild"):
                _try(lambda: parts.upkeep.rebuilds.cancel(name))
    elif state.done is not None:
        st.success(markdown_text(done_text(state.done)), icon=":material/check_circle:")
        st.button(
            "Got it", key="rebuild-read", on_click=parts.upkeep.rebuilds.dismiss, args=(name,)
        )


def _draw_check(parts: Services, name: str, state: CheckState) -> None:
    if state.running is not None:
        share = state.running.done / state.running.total if state.running.total else 0.0
        st.progress(min(share, 1.0), text=_check_text(state.running))
        return
    if state.problem:
        st.error(
            f"The check came to no end. {markdown_text(state.problem)}", icon=":material/error:"
        )
    if state.last is None or state.last.is_sound:
        if state.last is not None and state.last.done:
            _say_what_was_done(state.last)
        return
    _draw_damage(parts, name, state.last)


def _draw_damage(parts: Services, name: str, health: Health) -> None:
    shown = health.problems[:_SHOWN_PROBLEMS]
    lines = [f"- {markdown_text(problem)}" for problem in shown]
    if health.problem_count > len(shown):
        lines.append(f"- and {health.problem_count - len(shown):,} more")
    found = count_text(health.problem_count, "fault")
    st.error(
        f"The last check found {found}:\n\n" + "\n".join(lines), icon=":material/heart_broken:"
    )
    if health.done:
        _say_what_was_done(health)
    st.caption(
        "A repair makes anew what can be made anew, and queues documents that suffered to be read "
        "again. What was damaged is kept under another name."
    )
    with st.container(horizontal=True):
        if st.button("Repair", type="primary", icon=":material/build:", key="repair"):
            _try(lambda: parts.upkeep.check(name, mends=True))
        if st.button("Check again", icon=":material/refresh:", key="check-again"):
            _try(lambda: parts.upkeep.check(name))


def _say_what_was_done(health: Health) -> None:
    lines = "\n".join(f"- {markdown_text(line)}" for line in health.done)
    st.info(f"The last repair did this:\n\n{lines}", icon=":material/build:")


def _check_text(progress: CheckProgress) -> str:
    text = "Repairing" if progress.is_repair else "Checking"
    if progress.what:
        text += f": {markdown_text(progress.what)}"
    if progress.total:
        text += f" · {progress.done / progress.total:.0%}"
    return text


def _try(act: Callable[[], None]) -> None:
    """Do something and draw the page anew, or say why it could not be done."""
    try:
        act()
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    st.rerun()
