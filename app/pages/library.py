"""The library page: collections, adding documents, what becomes of them, listing and deleting."""

from __future__ import annotations

import streamlit as st

from app.pages.adding import add_documents
from app.pages.chooser import choose_collection
from app.pages.collection_actions import collection_actions
from app.pages.documents import documents_table
from app.pages.problems import show_problems
from app.pages.progress import show_activity
from app.pages.upkeep import show_upkeep
from app.rendering import markdown_text
from app.resources import services
from app.services import Services
from app.work.checking import CheckState
from indexer.collections.summary import CollectionSummary, summarize
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.wording import count_text, size_text, steps_text, time_text

__all__ = ["show"]


def show() -> None:
    """Draw the page."""
    parts = services()
    st.title("Library", anchor=False)
    try:
        names = parts.library.names()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = choose_collection(names, parts.settings)
            summary = summarize(parts.library.directory(name)) if name in names else None
            if not parts.is_read_only:
                collection_actions(parts, summary)
        _show_collection(parts, name, summary)
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")


def _show_collection(parts: Services, name: str, summary: CollectionSummary | None) -> None:
    # Each part has a place that is always there: were the others to move up and down as one comes
    # and goes, the browser would show them twice for a moment, and forget which tab was open.
    head, upkeep, invitation, adding, activity, problems, documents = (
        st.container() for _ in range(7)
    )
    with head:
        if summary is not None:
            _show_summary(parts, summary)
        if parts.is_read_only:
            st.caption("This app is read-only: nothing can be added, deleted or changed here.")
    if summary is not None and not parts.is_read_only:
        with upkeep:
            show_upkeep(parts, name, is_sound=summary.problem is None)
    if summary is not None and summary.problem is not None:
        return
    if not parts.is_read_only:
        with invitation:
            if summary is None or not summary.documents:
                _say_how_to_begin()
        with adding:
            add_documents(parts, name, exists=summary is not None)
    if summary is None:
        return
    if not parts.is_read_only:
        with activity:
            show_activity(parts, name)
    with problems:
        show_problems(parts, name)
    with documents:
        documents_table(parts, name)


def _show_summary(parts: Services, summary: CollectionSummary) -> None:
    totals = _totals(summary, is_only=len(parts.library.names()) < 2)
    st.caption(f"{totals}  \n{_health_text(parts.upkeep.health(summary.name))}")
    if summary.problem:
        st.error(markdown_text(summary.problem), icon=":material/error:")


def _say_how_to_begin() -> None:
    st.markdown(
        "Nothing can be searched here yet. Add files or a folder below: each can be searched as "
        "soon as it is read, while others are still at work. Nothing leaves this machine, and you "
        "may close this page meanwhile."
    )


def _totals(summary: CollectionSummary, *, is_only: bool) -> str:
    facts = [
        f"**{markdown_text(summary.name)}**" if is_only else "",
        count_text(summary.documents, "document"),
        count_text(summary.chunks, "passage"),
        size_text(summary.size_bytes) + " on disk",
        f"model {markdown_text(summary.model)}" if summary.model else "",
        "" if summary.steps is None else f"documents refined by {steps_text(summary.steps)}",
    ]
    return " · ".join(fact for fact in facts if fact)


def _health_text(state: CheckState) -> str:
    icon = ":material/health_and_safety: Health: "
    if state.running is not None:
        return f"{icon}being checked"
    if state.last is None:
        return f"{icon}not checked yet"
    verdict = "all is sound"
    if not state.last.is_sound:
        verdict = f"{count_text(state.last.problem_count, 'fault')} found"
    return f"{icon}{verdict}, checked {time_text(state.last.checked_at)}"
