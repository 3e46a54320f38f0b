"""The views of the reader: a document as it looks, or its text, around a passage."""

from __future__ import annotations

import streamlit as st

from app.reading.originals import Original
from app.reading.previews import preview_html
from app.reading.reader import Passage, Reach, Window, first_reach, window
from app.rendering import highlighted, markdown_text, plain
from app.services import Services
from indexer.errors import ExtractionError
from indexer.preview import PagePicture, PreviewRequest

__all__ = ["Spans", "draw_preview", "draw_text"]

Spans = tuple[tuple[int, int], ...]


def draw_preview(
    parts: Services, original: Original, passage: Passage, highlights: Spans, key: str
) -> bool:
    """Draw a document as it looks; return False where its text has to do, having said why.

    Args:
        parts: of the app.
        original: the file that it is from.
        passage: what to show of it.
        highlights: spans of the passage to mark.
        key: of what is being read.
    """
    document, chunk = passage.document, passage.chunk
    reach = _reach(key, first_reach(document.media_type))
    page = st.session_state.get(f"page-{key}", passage.page)
    is_there = page == passage.page
    request = PreviewRequest(
        path=original.path,
        sha256=original.sha256,
        media_type=document.media_type,
        passage=chunk.text if chunk and is_there else "",
        highlights=highlights if is_there else (),
        place=passage.start / max(1, len(document.text)),
        page=page,
        before=reach.before,
        after=reach.after,
    )
    try:
        with st.spinner("Reading the file …", show_time=False):
            preview = parts.previewer.preview(request)
    except ExtractionError as error:
        st.info(
            markdown_text(f"Only the text can be shown: {error.message}. Advice: {error.hint}."),
            icon=":material/draft:",
        )
        if not is_there:
            _way_back(passage, key)
        return False
    if request.passage and not preview.has_passage:
        anyway = f"anyway-{key}"
        if not st.session_state.get(anyway):
            st.info(
                "The passage cannot be marked in the document as it looks, so here is its text.",
                icon=":material/draft:",
            )
            st.button(
                "Show the document all the same",
                key=f"show-{anyway}",
                on_click=_remember,
                args=(anyway,),
            )
            return False
    if isinstance(preview, PagePicture):
        _page_turner(preview, passage, key)
    _draw_around(
        preview_html(preview, title=document.title, passage=request.passage),
        reach,
        is_start=isinstance(preview, PagePicture) or preview.is_start,
        is_end=isinstance(preview, PagePicture) or preview.is_end,
        key=key,
    )
    return True


def _remember(name: str) -> None:
    st.session_state[name] = True


def _page_turner(preview: PagePicture, passage: Passage, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, icon, page in (
            ("Previous page", "chevron_left", preview.page - 1),
            ("Next page", "chevron_right", preview.page + 1),
        ):
            st.button(
                label,
                key=f"{icon}-{key}",
                icon=f":material/{icon}:",
                disabled=not 1 <= page <= preview.pages,
                on_click=_turn,
                args=(key, page),
            )
        st.caption(f"Page {preview.page} of {preview.pages}", width="content")
        if passage.chunk is not None and preview.page != passage.page:
            _way_back(passage, key)


def _way_back(passage: Passage, key: str) -> None:
    what = "the passage on page" if passage.chunk else "page"
    st.button(
        f"Back to {what} {passage.page}",
        key=f"back-{key}",
        icon=":material/undo:",
        type="tertiary",
        on_click=_turn,
        args=(key, passage.page),
    )


def _turn(key: str, page: int) -> None:
    st.session_state[f"page-{key}"] = page


def draw_text(passage: Passage, highlights: Spans, key: str) -> None:
    """Draw the text of a document.

    Args:
        passage: what to show of it.
        highlights: spans of the passage to mark.
        key: of what is being read.
    """
    reach = _reach(f"text-{key}", first_reach("text"))
    view = window(
        passage.document.text,
        passage.start,
        passage.end,
        before=reach.before,
        after=reach.after,
    )
    _draw_around(
        _text_html(view, highlights),
        reach,
        is_start=view.is_start,
        is_end=view.is_end,
        key=f"text-{key}",
    )


def _draw_around(html: str, reach: Reach, *, is_start: bool, is_end: bool, key: str) -> None:
    """Draw a stretch of a document between the buttons that make it longer."""
    if not is_start:
        st.button(
            "Earlier text",
            key=f"earlier-{key}",
            icon=":material/expand_less:",
            on_click=_set_reach,
            args=(key, reach.earlier()),
        )
    st.html(html)
    if not is_end:
        st.button(
            "Further text",
            key=f"further-{key}",
            icon=":material/expand_more:",
            on_click=_set_reach,
            args=(key, reach.further()),
        )


def _reach(key: str, first: Reach) -> Reach:
    reach: Reach = st.session_state.get(f"reach-{key}", first)
    return reach


def _set_reach(key: str, reach: Reach) -> None:
    st.session_state[f"reach-{key}"] = reach


def _text_html(view: Window, highlights: Spans) -> str:
    lead = "" if view.is_start else "… "
    rest = "" if view.is_end else " …"
    passage = highlighted(view.passage, highlights)
    return (
        f'<div class="gs-document">{lead}{plain(view.before)}'
        f'<span id="gs-found" class="gs-found">{passage}</span>'
        f"{plain(view.after)}{rest}</div>"
    )
