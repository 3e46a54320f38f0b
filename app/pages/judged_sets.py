"""Judged sets on the quality page: bringing one in the BEIR layout, and taking it away."""

from __future__ import annotations

import streamlit as st

from app.rendering import markdown_text
from app.services import Services
from indexer.errors import IndexerError
from indexer.evaluation.judged_sets import JudgedSet

__all__ = ["add_judged_set", "remove_judged_set"]

_ROUND = "judged-set-round"


def add_judged_set(parts: Services) -> None:
    """Draw the ways to bring a set: a ZIP file, or a folder of this machine."""
    if chosen := st.session_state.pop("judged-set-added", None):
        st.toast(f"{markdown_text(chosen)} added", icon=":material/check:")
    with st.expander("Add a judged set", icon=":material/add:"):
        st.caption(
            "In the BEIR layout: corpus.jsonl, queries.jsonl and qrels/test.tsv. Without "
            "corpus.jsonl it judges documents of the collection, named by their paths."
        )
        # A new key for each file empties the widget, and with it the server's memory.
        turn = st.session_state.setdefault(_ROUND, 0)
        uploaded = st.file_uploader("A ZIP file", type="zip", key=f"judged-set-{turn}")
        try:
            if uploaded is not None:
                added = parts.sets.add_archive(uploaded.name, uploaded)
                st.session_state[_ROUND] = turn + 1
                _choose(added)
            if parts.takes_paths:
                with st.form("judged-set-path", border=False, clear_on_submit=True):
                    text = st.text_input("Or a folder on this machine", placeholder="~/sets/my-set")
                    if st.form_submit_button("Add folder"):
                        _choose(parts.sets.add_folder(parts.check_path(text or "")))
        except IndexerError as error:
            st.error(markdown_text(str(error)), icon=":material/error:")


def remove_judged_set(parts: Services, chosen: JudgedSet) -> None:
    """Draw the button that forgets a set."""
    st.button(
        "Remove this set",
        icon=":material/close:",
        type="tertiary",
        help="A set that was uploaded is deleted; a folder of your own stays as it is.",
        on_click=parts.sets.remove,
        args=(chosen.name,),
    )


def _choose(added: JudgedSet) -> None:
    st.session_state["judged-set-added"] = added.name
    st.session_state["judged-set-next"] = added.name
    st.rerun()
