"""Making, renaming and deleting collections."""

from __future__ import annotations

import streamlit as st

from app.pages.chooser import select_collection
from app.pages.model_choice import model_and_steps
from app.rendering import markdown_text
from app.services import Services
from indexer.collections.summary import CollectionSummary
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.wording import count_text, size_text

__all__ = ["ask_to_delete", "ask_to_make", "ask_to_rename"]


@st.dialog("New collection")
def ask_to_make(parts: Services) -> None:
    """Let the user choose name, model and steps of a new collection, and make it."""
    name = st.text_input("Name", max_chars=64, help="Letters, digits, dots, hyphens, underscores.")
    chosen = model_and_steps(parts, parts.settings.model, parts.settings.steps)
    st.caption(
        "Model and steps hold for all documents of the collection, until it is rebuilt with others."
    )
    if not st.button("Create", type="primary", icon=":material/add:", disabled=chosen is None):
        return
    assert chosen is not None
    info, steps = chosen
    try:
        parts.create_collection((name or "").strip(), model=info.name, steps=steps)
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    select_collection((name or "").strip())
    st.rerun()


@st.dialog("Rename this collection")
def ask_to_rename(parts: Services, name: str) -> None:
    """Let the user choose another name of a collection, and rename it."""
    new_name = st.text_input(
        "New name", name, max_chars=64, help="Letters, digits, dots, hyphens, underscores."
    )
    if not st.button("Rename", type="primary", icon=":material/edit:"):
        return
    wanted = (new_name or "").strip()
    try:
        with st.spinner("Waiting for the current batch …"):
            parts.upkeep.rename(name, wanted)
    except IndexerError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    select_collection(wanted)
    st.rerun()


@st.dialog("Delete this collection?")
def ask_to_delete(parts: Services, summary: CollectionSummary) -> None:
    """Count what goes with a collection, and delete it when the user is sure."""
    st.markdown(f"**{markdown_text(summary.name)}** will be deleted, and with it:")
    st.markdown("\n".join(f"- {markdown_text(loss)}" for loss in _losses(parts, summary)))
    st.caption("Files that were added by their path stay where they are.")
    with st.container(horizontal=True):
        is_sure = st.button("Delete", type="primary", icon=":material/delete:")
        if st.button("Keep it"):
            st.rerun()
    if not is_sure:
        return
    try:
        with st.spinner("Waiting for the current batch …"):
            parts.delete_collection(summary.name)
    except IndexerError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    select_collection(None)
    st.rerun()


def _losses(parts: Services, summary: CollectionSummary) -> list[str]:
    """Return what goes with a collection, each with its count."""
    losses = []
    if summary.problem is None:
        losses += [
            f"{count_text(summary.documents, 'document')}, which will no longer be found",
            f"{count_text(summary.chunks, 'passage')} with their vectors",
        ]
    losses.append(f"{size_text(summary.size_bytes)} on the disk")
    copies = parts.upkeep.copies_bytes(summary.name)
    if copies:
        losses.append(f"the copies of uploaded files, {size_text(copies)}")
    jobs = [job for job in parts.queue.jobs() if job.collection == summary.name]
    if jobs:
        losses.append(f"{count_text(len(jobs), 'job')} of indexing that is not done")
    if summary.problem is None and parts.upkeep.rebuilds.state(summary.name).is_busy:
        losses.append("the rebuild that is going on")
    return losses
