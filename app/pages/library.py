"""The library page: add documents, see what becomes of them, list and delete them."""

from __future__ import annotations

import streamlit as st

from app.pages.adding import add_documents
from app.pages.chooser import choose_collection
from app.pages.collection_actions import collection_actions
from app.pages.documents import documents_table
from app.pages.problems import show_problems
from app.pages.progress import show_activity
from app.rendering import markdown_text
from app.resources import services
from app.services import Services
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.wording import count_text, size_text

__all__ = ["show"]


def show() -> None:
    """Draw the page."""
    parts = services()
    st.title("Library", anchor=False)
    try:
        names = parts.library.names()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = choose_collection(names, parts.settings)
            if not parts.is_read_only:
                collection_actions(parts, name, exists=name in names)
        if name in names:
            _totals(parts, name)
        if parts.is_read_only:
            st.caption("This app is read-only: nothing can be added, deleted or changed here.")
        else:
            add_documents(parts, name, exists=name in names)
        if name in names:
            if not parts.is_read_only:
                show_activity(parts, name)
            show_problems(parts, name)
            documents_table(parts, name)
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")


def _totals(parts: Services, name: str) -> None:
    summary = next(entry for entry in parts.library.summaries() if entry.name == name)
    facts = [
        f"**{name}**" if len(parts.library.names()) < 2 else "",
        count_text(summary.documents, "document"),
        count_text(summary.chunks, "passage"),
        size_text(summary.size_bytes) + " on disk",
        f"model {markdown_text(summary.model)}",
        f"documents refined by {summary.steps} steps" if summary.steps else "",
    ]
    st.caption(" · ".join(fact for fact in facts if fact))
    if summary.problem:
        st.error(markdown_text(summary.problem), icon=":material/error:")
