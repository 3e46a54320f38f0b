"""Thumbs beside a hit: whether its passage answers the question."""

from __future__ import annotations

import streamlit as st

from app.quality.judging import judge, judged_as
from app.rendering import markdown_text
from app.services import Services
from indexer.errors import IndexerError
from indexer.searching.results import Hit

__all__ = ["judge_hit"]

_SAID = {True: "Judged as an answer", False: "Judged as no answer", None: "Does it answer?"}


def judge_hit(parts: Services, collection: str, query_text: str, hit: Hit) -> None:
    """Draw thumbs for one hit, as they were left the last time; nothing where the app only reads.

    Args:
        parts: of the app.
        collection: that was searched.
        query_text: what was asked.
        hit: what was found.
    """
    if parts.is_read_only or not query_text.strip():
        return
    try:
        said = judged_as(parts, collection, query_text, hit)
    except IndexerError as error:
        st.caption(markdown_text(str(error)))
        return
    key = f"judge-{collection}-{hit.chunk.id}"
    # What is kept counts, not what this browser tab believes: another tab may have judged since.
    # Set only where they differ: a value that is set overrides what was clicked in the browser.
    thumb = None if said is None else int(said)
    if st.session_state.get(key) != thumb:
        st.session_state[key] = thumb
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", width="content", key=f"gs-{key}"
    ):
        st.caption(_SAID[said], width="content")
        st.feedback(
            "thumbs",
            key=key,
            on_change=_note,
            args=(parts, collection, query_text, hit, key),
        )


def _note(parts: Services, collection: str, query_text: str, hit: Hit, key: str) -> None:
    thumb = st.session_state[key]
    try:
        judge(parts, collection, query_text, hit, None if thumb is None else bool(thumb))
    except IndexerError as error:
        st.toast(markdown_text(str(error)), icon=":material/error:")
