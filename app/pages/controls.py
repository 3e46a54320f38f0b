"""What stands between the question and its answers: mode, refinement and filters."""

from __future__ import annotations

import streamlit as st

from app.hits import type_label
from app.models import ModelStatus
from app.query import Query
from app.rendering import markdown_text, plain
from app.services import Services
from app.slider import default_steps, range_text, slider_label, step_range
from indexer.embedder import ModelError, ModelInfo
from indexer.errors import IndexerError
from indexer.loaders import MEDIA_TYPES
from indexer.settings import Mode

__all__ = ["FILTER_KEYS", "search_controls"]

_MODES: dict[Mode, str] = {"hybrid": "Both", "dense": "Meaning", "lexical": "Words"}
_BY_LABEL = {label: mode for mode, label in _MODES.items()}
FILTER_KEYS: dict[str, object] = {"types": [], "path": ""}
"""Keys of the filters' widgets, with what stands for no filter."""


def search_controls(parts: Services, collection: str, text: str) -> Query:
    """Draw the controls side by side in the container at hand; return the query they make."""
    # Labels, not modes, are the options: an address then reads ``?mode=Words``.
    label = st.segmented_control(
        "Search by",
        list(_BY_LABEL),
        default=_MODES[parts.settings.mode],
        required=True,
        key="mode",
        bind="query-params",
        help="By meaning finds passages that say it in other words; by words finds names and "
        "codes; both is right for most questions.",
    )
    with st.container(width=310):
        mode = _BY_LABEL[label or _MODES[parts.settings.mode]]
        steps = None if mode == "lexical" else _refinement(parts, collection)
    types, path = _filters()
    return Query(
        collection=collection,
        text=text,
        mode=mode,
        steps=steps,
        media_types=types,
        path=path,
    )


def _filters() -> tuple[tuple[str, ...], str]:
    used = sum(bool(st.session_state.get(key)) for key in FILTER_KEYS)
    with st.popover(f"Filters ({used})" if used else "Filters", icon=":material/filter_alt:"):
        types = st.multiselect(
            "Types of documents",
            list(MEDIA_TYPES),
            format_func=type_label,
            key="types",
            placeholder="All types",
            bind="query-params",
        )
        path = st.text_input(
            "File or folder name contains",
            key="path",
            placeholder="such as reports or */2024/*.pdf",
            bind="query-params",
        )
    return tuple(types), path or ""


def _refinement(parts: Services, collection: str) -> int | None:
    """Draw the slider, or say why there is none; return the steps to use."""
    with parts.collections.use(collection) as opened:
        model, first = opened.config.model, opened.query_steps()
        try:
            info = opened.model_info()
        except (IndexerError, ModelError):
            return None  # the answer says that the model is missing, and what to do
    status = parts.models.status(model)
    low, high = step_range(info)
    if status.state == "loading":
        _watch_loading(parts, model)
    elif status.state == "failed":
        st.button(
            "Load the model again",
            icon=":material/refresh:",
            on_click=parts.models.retry,
            args=(model,),
        )
    if low == high:
        _explain_fixed_steps(info, status)
        return low
    wanted = parts.settings.steps
    return _slider(info, status, default_steps(info, first if wanted is None else wanted))


def _slider(info: ModelInfo, status: ModelStatus, first: int) -> int:
    low, high = step_range(info)
    return st.slider(
        slider_label(_chosen_steps(low, high, first), status),
        low,
        high,
        first,
        key="steps",
        bind="query-params",
        help="How far the model thinks a question through before it searches."
        + (f" Measured here: {markdown_text(range_text(status.timing))}" if status.timing else ""),
    )


def _chosen_steps(low: int, high: int, first: int) -> int:
    """Return what the slider is going to return: its label has to say it before."""
    typed = st.query_params.get("steps", "")  # of a page that was opened by its address
    known = st.session_state.get("steps", int(typed) if typed.isdecimal() else first)
    return known if low <= known <= high else first


def _explain_fixed_steps(info: ModelInfo, status: ModelStatus) -> None:
    label = slider_label(info.min_steps, status)
    st.html(
        f'<div class="gs-fixed"><p>{plain(label)}</p>'
        f"<p>{plain(info.name)} has no refinement steps: questions are embedded as they are."
        "</p></div>"
    )


def _watch_loading(parts: Services, model: str) -> None:
    """Draw the page anew once the model is ready."""

    def look() -> None:
        if parts.models.status(model).state != "loading":
            st.rerun()

    st.fragment(look, run_every=0.5)()
