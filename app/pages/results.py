"""The results rail: hits in their places while a search refines itself, each with its buttons.

Places are drawn once and filled again with every step, so that nothing jumps. A button belongs to a
place: it acts on the hit that stands there when it is pressed.
"""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.pages import feedback
from app.rendering import plain
from app.searching.hits import HitLook, hit_html, hits_as_csv, hits_as_json
from app.searching.latency import latency_html
from app.searching.query import Answer
from app.services import Services
from indexer.searching.refining import Progress
from indexer.searching.search import Hit
from indexer.wording import count_text, stability_text, steps_text, stop_text

__all__ = ["OPEN_KEY", "Rail", "export_menu", "opened_hit", "status_html"]

OPEN_KEY = "open"
"""Where the session keeps which passage the reader shows."""


class Rail:
    """Hits one below the other, in the container at hand.

    Args:
        parts: of the app.
    """

    def __init__(self, parts: Services) -> None:
        self._parts = parts
        self._status = st.empty()
        self._latency = st.empty()
        self._list = st.container(gap="small", key="gs-hits")
        self._places: list[DeltaGenerator] = []
        self._tools: list[DeltaGenerator] = []

    def say_searching(self) -> None:
        """Say that the first hits are on their way."""
        self._status.html('<p class="gs-status" role="status">Searching \u2026</p>')

    def clear(self) -> None:
        """Show nothing any more."""
        for drawn in (self._status, self._latency, *self._places):
            drawn.empty()

    def draw(self, answer: Answer) -> None:
        """Show an answer, in place of the one before."""
        self._status.html(status_html(answer))
        self._latency.html(latency_html(answer.result))
        shown = opened_hit(answer)
        seen: set[str] = set()
        for place, hit in enumerate(answer.hits):
            if place == len(self._places):
                self._add_place(place, is_movable=answer.query.mode != "lexical")
            is_grouped = answer.query.grouping == "document"
            look = HitLook(
                is_open=hit is shown,
                is_further=is_grouped and hit.document.id in seen,
                progress=answer.result.progress,
            )
            seen.add(hit.document.id)
            self._places[place].html(hit_html(hit, self._parts.uploads, look))
        for unused in self._places[len(answer.hits) :]:
            unused.empty()

    def tools(self, place: int) -> DeltaGenerator:
        """Return the container of what can be done to the hit in a place."""
        return self._tools[place]

    def _add_place(self, place: int, *, is_movable: bool) -> None:
        with self._list, st.container(border=True, key=f"gs-hit-{place}"):
            self._places.append(st.empty())
            self._tools.append(
                st.container(
                    horizontal=True,
                    vertical_alignment="center",
                    gap="small",
                    key=f"gs-tools-{place}",
                )
            )
        with self._tools[-1]:
            _button(place, "Read", "article", _open, "Show the passage in its document")
            _button(place, "Similar", "hub", _similar, "Find passages like this one")
            if is_movable:
                _button(place, "More of this", "add", _like, "Move the search towards this passage")
                _button(place, "Less of this", "remove", _unlike, "Move the search away from it")


def opened_hit(answer: Answer) -> Hit | None:
    """Return the hit that the reader shows: the one that was chosen, else the first."""
    chosen = st.session_state.get(OPEN_KEY)
    first = answer.hits[0] if answer.hits else None
    return next((hit for hit in answer.hits if hit.chunk.id == chosen), first)


def status_html(answer: Answer) -> str:
    """Return how far a search is, and how sure its first hits are."""
    progress, result = answer.result.progress, answer.result
    if progress is None:
        size = count_text(result.total_chunks, "passage")
        return f'<p class="gs-status" role="status">Searched {plain(size)}.</p>'
    said = stability_text(progress)
    said = said[0].upper() + said[1:]
    if answer.is_final:
        steps = steps_text(progress.step)
        reason = "" if progress.stopped in (None, "steps") else f", {stop_text(progress.stopped)}"
        rest = f"{steps}{reason}"
    else:
        rest = f"refining, step {progress.step} \u2026"
    sign = "" if progress.step == progress.first_step else _strip(progress)
    return (
        f'<p class="gs-status" role="status">{sign}<strong>{plain(said)}</strong>'
        f" \u00b7 {plain(rest)}</p>"
    )


def export_menu(answer: Answer) -> None:
    """Draw the ways to take the hits along that are shown."""
    with st.popover("Export", icon=":material/download:", type="tertiary"):
        said = count_text(len(answer.hits), "hit")
        st.caption(f"{said}: passages, places and scores")
        for name, mime, write in (
            ("CSV", "text/csv", hits_as_csv),
            ("JSON", "application/json", hits_as_json),
        ):
            st.download_button(
                f"{said} as {name}",
                data=write(answer.hits),
                file_name=f"hits.{name.lower()}",
                mime=mime,
                key=f"export-{name}",
                on_click="ignore",
                width="stretch",
            )


def _strip(progress: Progress) -> str:
    """Return a tick for each step: full ones since nothing changed any more."""
    ticks = "".join(
        f'<i class="{"gs-calm" if step >= progress.unchanged_since else "gs-moving"}"></i>'
        for step in range(progress.first_step, progress.step + 1)
    )
    return f'<span class="gs-strip" aria-hidden="true">{ticks}</span>'


def _button(place: int, label: str, icon: str, act: object, hint: str) -> None:
    st.button(
        label,
        key=f"{label.split()[0].lower()}-{place}",
        icon=f":material/{icon}:",
        type="tertiary",
        help=hint,
        on_click=act,  # type: ignore[arg-type]
        args=(place,),
    )


def _hit_at(place: int) -> Hit | None:
    _, answer = st.session_state.get("answer", (None, None))
    hits = answer.hits if answer is not None else ()
    return hits[place] if place < len(hits) else None


def _open(place: int) -> None:
    if (hit := _hit_at(place)) is not None:
        st.session_state[OPEN_KEY] = hit.chunk.id


def _similar(place: int) -> None:
    if (hit := _hit_at(place)) is not None:
        feedback.clear()
        feedback.mark("similar", hit.chunk.id)
        st.session_state.pop(OPEN_KEY, None)


def _like(place: int) -> None:
    if (hit := _hit_at(place)) is not None:
        feedback.mark("like", hit.chunk.id)


def _unlike(place: int) -> None:
    if (hit := _hit_at(place)) is not None:
        feedback.mark("unlike", hit.chunk.id)
