"""What pages about a collection share: a title, the way out where there is none, and errors."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.rendering import markdown_text
from app.resources import services
from app.services import Services
from indexer.embedder import ModelError
from indexer.errors import IndexerError

__all__ = ["draw_page"]


def draw_page(title: str, draw: Callable[[Services, list[str]], None], *, invitation: str) -> None:
    """Draw a page that needs a collection, or lead to where one is made.

    Args:
        title: of the page.
        draw: given the app's parts and the names of all collections, at least one.
        invitation: what to do first where there is no collection yet.
    """
    parts = services()
    st.title(title, anchor=False)
    try:
        names = parts.library.names()
        if not names:
            st.info(f"There is no collection yet. {invitation}", icon=":material/info:")
            st.page_link(st.session_state["pages"]["library"], label="Add documents")
            return
        draw(parts, names)
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
