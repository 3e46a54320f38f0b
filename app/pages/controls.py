"""What stands between the question and its answers: mode, refinement and filters."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import streamlit as st

from app.models import ModelStatus
from app.rendering import markdown_text, plain
from app.searching.hits import type_label
from app.searching.query import Effort, Query
from app.searching.slider import (
    automatic_text,
    budget_label,
    default_steps,
    range_text,
    slider_label,
    step_range,
)
from app.services import Services
from indexer.embedder import ModelError, ModelInfo
from indexer.errors import IndexerError
from indexer.loaders import MEDIA_TYPES
from indexer.settings import Mode

__all__ = ["FILTER_KEYS", "search_controls"]

# Labels, not values, are the options: an address then reads ``?mode=Words&refine=Time``.
_MODES: dict[str, Mode] = {"Both": "hybrid", "Meaning": "dense", "Words": "lexical"}
_EFFORTS: dict[str, Effort] = {"Steps": "steps", "Time": "budget", "Auto": "auto"}
_LEAST_BUDGET_MS, _MOST_BUDGET_MS, _FIRST_BUDGET_MS = 5, 10_000, 100
_FIRST_STEPS = "first-steps"
_MOST_DIGITS = 9  # of a number in an address: of thousands Python makes none, but raises
FILTER_KEYS: dict[str, object] = {"types": [], "path": "", "after": None, "before": None}
"""Keys of the filters' widgets, with what stands for no filter."""


def search_controls(parts: Services, collection: str, text: str) -> Query:
    """Draw the controls side by side in the container at hand; return the query they make."""
    first = next(label for label, mode in _MODES.items() if mode == parts.settings.mode)
    label = st.segmented_control(
        "Search by",
        list(_MODES),
        default=first,
        required=True,
        key="mode",
        bind="query-params",
        help="By meaning finds passages that say it in other words; by words finds names and "
        'codes; both is right for most questions. Everywhere a "phrase in quotes" has to occur, '
        "and a word after a minus must not: `boiler -gas`.",
    )
    query = Query(collection=collection, text=text, mode=_MODES[label or first])
    # Always there, so that what follows keeps its place whatever the mode.
    with st.container(
        horizontal=True,
        vertical_alignment="bottom",
        gap="medium",
        width="content",
        key="gs-refine",
    ):
        if query.mode != "lexical":
            query = _refined(parts, query)
    return _filtered(query)


def _filtered(query: Query) -> Query:
    # Before the widgets are drawn for the first time only the address knows of them.
    used = sum(bool(st.session_state.get(key, st.query_params.get(key))) for key in FILTER_KEYS)
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
        with st.container(horizontal=True):
            after = _day("Changed from", "after")
            before = _day("Changed until", "before")
        if after and before and after > before:
            st.caption(f"No document can be of {after} or later and of {before} or earlier.")
        if used:
            st.button(
                "Clear",
                key="clear-filters",
                icon=":material/filter_alt_off:",
                on_click=remove_filters,
            )
    return replace(query, media_types=tuple(types), path=path or "", after=after, before=before)


def remove_filters() -> None:
    """Empty the widgets of all filters; a callback."""
    for key, empty in FILTER_KEYS.items():
        st.session_state[key] = empty


def _day(label: str, key: str) -> date | None:
    chosen = st.date_input(
        label,
        value=None,
        min_value=date(1970, 1, 1),
        max_value=date(2100, 1, 1),
        key=key,
        format="YYYY-MM-DD",
        bind="query-params",
    )
    return chosen if isinstance(chosen, date) else None


def _refined(parts: Services, query: Query) -> Query:
    """Draw what decides how far to refine, or say why nothing does; return the query with it."""
    with parts.collections.use(query.collection) as opened:
        model, first = opened.config.model, opened.query_steps()
        try:
            info = opened.model_info()
        except (IndexerError, ModelError):
            return query  # the answer says that the model is missing, and what to do
    status = parts.models.status(model)
    low, high = step_range(info)
    if low == high:
        with st.container(width=310):
            _explain_fixed_steps(info, status)
            _model_state(parts, model, status)
        return replace(query, steps=low)
    label = st.segmented_control(
        "Refine by",
        list(_EFFORTS),
        default="Steps",
        required=True,
        key="refine",
        bind="query-params",
        help="**Steps**: as many as you say. **Time**: as many as fit. **Auto**: until the results "
        "hold still.",
    )
    effort = _EFFORTS[label or "Steps"]
    with st.container(width=310, key="gs-effort", gap="small"):
        _model_state(parts, model, status)
        if effort == "steps":
            wanted = parts.settings.steps
            steps = _slider(info, status, default_steps(info, first if wanted is None else wanted))
            return replace(query, steps=steps)
        if effort == "budget":
            return replace(query, effort=effort, budget_ms=_budget(status))
        st.html(f'<p class="gs-auto">{plain(automatic_text(info, status))}</p>')
    return replace(query, effort=effort)


def _model_state(parts: Services, model: str, status: ModelStatus) -> None:
    if status.state == "loading":
        _watch_loading(parts, model)
    elif status.state == "failed":
        st.button(
            "Load the model again",
            icon=":material/refresh:",
            on_click=parts.models.retry,
            args=(model,),
        )


def _slider(info: ModelInfo, status: ModelStatus, first: int) -> int:
    low, high = step_range(info)
    _follow(first)
    return st.slider(
        slider_label(_before_drawn("steps", first, low=low, high=high), status),
        low,
        high,
        first,
        key="steps",
        bind="query-params",
        help="How far the model thinks a question through before it searches."
        + (f" Measured here: {markdown_text(range_text(status.timing))}" if status.timing else ""),
    )


def _follow(first: int) -> None:
    """Move the slider to where it now begins, unless the user moved it away from where it began.

    That changes with the collection, and with what is made its default.
    """
    before = st.session_state.get(_FIRST_STEPS, first)
    if first != before == st.session_state.get("steps"):
        st.session_state["steps"] = first
    st.session_state[_FIRST_STEPS] = first


def _budget(status: ModelStatus) -> float:
    low, high = _LEAST_BUDGET_MS, _MOST_BUDGET_MS
    return st.number_input(
        budget_label(_before_drawn("budget", _FIRST_BUDGET_MS, low=low, high=high), status),
        min_value=low,
        max_value=high,
        value=_FIRST_BUDGET_MS,
        step=10,
        key="budget",
        bind="query-params",
        help="From when the question is sent to the last of the hits. The first ones are shown as "
        "soon as they are there.",
    )


def _before_drawn(key: str, first: int, *, low: int, high: int) -> int:
    """Return what a widget is going to return: its label has to say it before."""
    typed = st.query_params.get(key, "")  # of a page that was opened by its address
    is_number = typed.isdecimal() and len(typed) <= _MOST_DIGITS
    known = st.session_state.get(key, int(typed) if is_number else first)
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
