"""Asking for a rebuild with other settings, and for the version before it."""

from __future__ import annotations

import streamlit as st

from app.library.rebuild_texts import plan_lines, reverted_text
from app.library.versions import Version
from app.pages.model_choice import model_and_steps
from app.pages.upkeep import NEWS
from app.rendering import markdown_text
from app.services import Services
from indexer.collections.summary import CollectionSummary
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.reindexing.request import ReindexRequest

__all__ = ["ask_for_rebuild", "ask_for_revert"]

_SHORTEST, _LONGEST = 16, 1024


@st.dialog("Rebuild with other settings")
def ask_for_rebuild(parts: Services, summary: CollectionSummary) -> None:
    """Let the user choose settings, say what that comes to, and begin."""
    name = summary.name
    st.markdown(
        f"A new version of **{markdown_text(name)}** is made beside the present one, which is "
        "searched and takes documents meanwhile. When it is done it takes that one's place, and "
        "you can return."
    )
    try:
        request = _choose(parts, name)
        if request is None:
            return
        plan = parts.upkeep.rebuilds.plan(name, request)
        st.markdown("\n".join(f"- {markdown_text(line)}" for line in plan_lines(plan)))
        if not st.button("Rebuild", type="primary", icon=":material/restart_alt:"):
            return
        parts.upkeep.rebuild(name, request)
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    st.rerun()


def _choose(parts: Services, name: str) -> ReindexRequest | None:
    """Draw the settings; return a request for those that are chosen."""
    with parts.collections.use(name) as opened:
        config = opened.config
    chosen = model_and_steps(parts, config.model, config.steps)
    if chosen is None:
        return None
    info, steps = chosen
    tokens = st.number_input(
        "Longest passage, in tokens",
        min_value=_SHORTEST,
        max_value=max(_LONGEST, config.chunking.max_tokens),
        value=config.chunking.max_tokens,
        step=10,
        help="Shorter passages are found more exactly, longer ones keep more of their context. "
        "A token is three quarters of an English word.",
    )
    return ReindexRequest(
        model=info.name if info.name != config.model else None,
        steps=steps,
        max_tokens=tokens if tokens != config.chunking.max_tokens else None,
    )


@st.dialog("Return to the version before?")
def ask_for_revert(parts: Services, name: str, version: Version | None) -> None:
    """Say what the version before is, and return to it when the user is sure."""
    if version is not None:
        st.markdown(
            f"**{markdown_text(name)}** will be searched as: {markdown_text(version.text())}."
        )
    st.caption(
        "Documents that were added, changed or deleted since then are in it as they were. Both "
        "versions are kept: doing this again returns to the present one."
    )
    with st.container(horizontal=True):
        is_sure = st.button("Return to it", type="primary", icon=":material/undo:")
        if st.button("Stay here"):
            st.rerun()
    if not is_sure:
        return
    try:
        with st.spinner("Waiting for the current batch …"):
            report = parts.upkeep.revert(name)
    except IndexerError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    parts.upkeep.rebuilds.dismiss(name)
    st.session_state[NEWS] = reverted_text(report, version)
    st.rerun()
