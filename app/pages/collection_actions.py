"""Making and deleting collections."""

from __future__ import annotations

import streamlit as st

from app.rendering import markdown_text
from app.services import Services
from app.slider import default_steps, step_range
from indexer.embedder import ModelError, model_info
from indexer.errors import IndexerError
from indexer.wording import count_text

__all__ = ["collection_actions"]


def collection_actions(parts: Services, name: str, *, exists: bool) -> None:
    """Draw the buttons that make a collection or delete the one called ``name``."""
    if st.button("New collection", icon=":material/create_new_folder:"):
        _make(parts)
    if exists and st.button("Delete collection", icon=":material/delete:"):
        _delete(parts, name)


@st.dialog("New collection")
def _make(parts: Services) -> None:
    name = st.text_input("Name", max_chars=64, help="Letters, digits, dots, hyphens, underscores.")
    steps = _document_steps(parts)
    if not st.button("Create", type="primary", icon=":material/add:"):
        return
    try:
        parts.create_collection((name or "").strip(), steps=steps)
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    st.session_state["collection"] = (name or "").strip()
    st.rerun()


def _document_steps(parts: Services) -> int | None:
    model = parts.settings.model
    try:
        info = model_info(model)
    except ModelError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return None
    st.caption(f"Model: {markdown_text(info.name)}")
    low, high = step_range(info)
    if low == high:
        return low
    return st.slider(
        "Refinement steps of documents",
        low,
        high,
        default_steps(info, parts.settings.steps),
        help="Each step makes indexing slower. It is fixed for the collection's life; questions "
        "choose their own number.",
    )


@st.dialog("Delete this collection?")
def _delete(parts: Services, name: str) -> None:
    with parts.collections.use(name) as opened:
        totals = opened.ledger.totals()
    st.markdown(
        f"**{markdown_text(name)}** with {count_text(totals.documents, 'document')} and "
        f"{count_text(totals.chunks, 'passage')} will be deleted, and the copies of uploaded "
        "files with it. Files that were added by their path stay where they are."
    )
    with st.container(horizontal=True):
        is_sure = st.button("Delete", type="primary", icon=":material/delete:")
        if st.button("Keep it"):
            st.rerun()
    if not is_sure:
        return
    try:
        with st.spinner("Waiting for the current batch …"):
            parts.delete_collection(name)
    except IndexerError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    st.session_state.pop("collection", None)
    st.rerun()
