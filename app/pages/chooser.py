"""The choice of a collection, the same on every page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app.rendering import markdown_text
from indexer.settings import Settings

__all__ = ["PLACE", "choose_collection", "first_choice", "select_collection"]

SAMPLE = "sample"
PLACE = "place"
"""Where the session keeps which page is shown."""
_KEY = "collection"
_CHOSEN = "chosen-collection"
_MISSING = "missing-collection"
_NAME_CHARS = 64


def first_choice(names: Sequence[str], settings: Settings) -> str:
    """Return the collection to begin with: that of the settings, the sample, or any."""
    for name in (settings.collection, SAMPLE):
        if name in names:
            return name
    return names[0] if names else settings.collection


def choose_collection(
    names: Sequence[str], settings: Settings, *, on_change: Callable[[], None] | None = None
) -> str:
    """Let the user choose among collections where there are several; return the chosen one.

    Args:
        names: of all collections.
        settings: name the one to begin with.
        on_change: called when another one is chosen.
    """
    first = first_choice(names, settings)
    if names:
        _note_missing(names, first)
    if len(names) < 2:
        return first
    place = st.session_state.get(PLACE)
    before_place, before = st.session_state.get(_CHOSEN, (place, first))
    if before_place != place and before in names:
        # Streamlit forgets on the way to another page what an address chose, and nobody since.
        st.session_state[_KEY] = before
    chosen = st.selectbox(
        "Collection",
        names,
        index=list(names).index(first),
        key=_KEY,
        bind="query-params",
        on_change=on_change,
        width=200,
    )
    st.session_state[_CHOSEN] = place, chosen
    return chosen


def select_collection(name: str | None) -> None:
    """Have another collection chosen when the page is drawn next; None takes the first choice."""
    if name is None:
        st.session_state[_MISSING] = st.session_state.pop(_KEY, None)  # the user knows
    else:
        st.session_state[_KEY] = name


def _note_missing(names: Sequence[str], first: str) -> None:
    """Say once that the collection of the address, or of before, is not there (any more)."""
    wanted = st.session_state.get(_KEY, st.query_params.get(_KEY))
    if wanted is None or wanted in names:
        st.session_state.pop(_MISSING, None)
        return
    if st.session_state.get(_MISSING) != wanted:
        st.session_state[_MISSING] = wanted
        name = markdown_text(wanted[:_NAME_CHARS])
        st.toast(
            f"There is no collection “{name}”: it was deleted or renamed, or the address is wrong. "
            f"This is “{markdown_text(first)}”.",
            icon=":material/warning:",
            duration="infinite",
        )
