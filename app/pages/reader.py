"""A passage within its document: beside the results, or in a drawer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import PurePath

import streamlit as st

from app.hits import document_place, type_label
from app.local_folder import can_show_folder, show_folder
from app.originals import Original, original_of, read_original
from app.previews import preview_html
from app.reader import TEXT, Passage, Reach, Window, first_reach, locate, view_names, window
from app.rendering import highlighted, markdown_text, plain
from app.services import Services
from indexer.documents import Chunk, Document
from indexer.errors import ExtractionError, IndexerError, UsageError
from indexer.preview import PagePicture, PreviewRequest
from indexer.stores.base import DocumentRecord

__all__ = ["draw_reader", "show_document"]

Spans = tuple[tuple[int, int], ...]

_TITLE_CHARS = 120
# Constant and ours, but for a key of ours that has it run again for another passage: nothing of a
# document ever gets into it. It looks for the passage until that is drawn.
_SCROLL = """<script data-for="{key}">
(function look(tries) {{
  const found = document.getElementById('gs-found');
  if (found) found.scrollIntoView({{block: 'center', inline: 'nearest'}});
  else if (tries) setTimeout(look, 100, tries - 1);
}})(20)
</script>"""


def show_document(
    parts: Services,
    collection: str,
    record: DocumentRecord,
    chunk: Chunk | None = None,
    highlights: Sequence[tuple[int, int]] = (),
) -> None:
    """Open a drawer with a document around a passage, or from its start.

    Args:
        parts: of the app.
        collection: what it is in.
        record: the document.
        chunk: the passage.
        highlights: spans of the passage to mark.
    """
    title = record.title if len(record.title) <= _TITLE_CHARS else record.title[:_TITLE_CHARS] + "…"
    drawer = st.dialog(markdown_text(title) or "Document", width="medium", position="right")
    drawer(draw_reader)(parts, collection, record, chunk, highlights)


def draw_reader(
    parts: Services,
    collection: str,
    record: DocumentRecord,
    chunk: Chunk | None = None,
    highlights: Sequence[tuple[int, int]] = (),
) -> None:
    """Draw a document around a passage, or from its start, into the container at hand.

    It is a fragment: turning pages in it leaves the rest of the page alone.

    Args:
        parts: of the app.
        collection: what it is in.
        record: the document.
        chunk: the passage.
        highlights: spans of the passage to mark.
    """
    st.fragment(_draw)(parts, collection, record, chunk, tuple(highlights))


def _draw(
    parts: Services,
    collection: str,
    record: DocumentRecord,
    chunk: Chunk | None,
    highlights: Spans,
) -> None:
    try:
        with parts.collections.use(collection) as opened:
            document = opened.store.document(record.id)
            original = original_of(opened, record.id)
    except IndexerError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    if document is None:
        st.info("This document was removed since the search. Search again to see what is there.")
        return
    st.html(_head(parts, record, document, chunk))
    place = locate(document, chunk) if chunk else (0, 0)
    if place is None:
        st.info("This document was changed since the search. Search again to find its passages.")
        return
    key = chunk.id if chunk else record.id
    names = view_names(record.media_type) if original.state == "there" else (TEXT,)
    with st.container(horizontal=True, vertical_alignment="center"):
        view = TEXT
        if len(names) > 1:
            view = st.segmented_control(
                "View",
                names,
                default=names[0],
                required=True,
                key=f"view-{key}",
                label_visibility="collapsed",
            )
        _file_actions(parts, original, key)
    if original.problem:
        st.info(original.problem, icon=":material/draft:")
    passage = Passage(document, chunk, *place)
    if view == TEXT or not _draw_preview(parts, original, passage, highlights, key):
        _draw_text(passage, highlights, key)
    st.html(_SCROLL.format(key=f"{key}-{view}"), unsafe_allow_javascript=True)


def _file_actions(parts: Services, original: Original, key: str) -> None:
    if original.state != "there":
        return
    # An app that only shows, and that others reach, hands out no files: they may hold more than is
    # to be seen, such as changes that were tracked.
    if parts.takes_paths or not parts.is_read_only:
        st.download_button(
            "Download",
            data=partial(read_original, original),  # when it is asked for, not before
            file_name=original.name,
            # whatever it is: a page of a stranger's is never opened as one of the app's
            mime="application/octet-stream",
            key=f"download-{key}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )
    if parts.takes_paths and can_show_folder() and not parts.uploads.owns(original.path):
        st.button(
            "Open folder",
            key=f"folder-{key}",
            icon=":material/folder_open:",
            type="tertiary",
            on_click=_open_folder,
            args=(original,),
        )


def _open_folder(original: Original) -> None:
    try:
        show_folder(original.path)
    except UsageError as error:
        st.toast(markdown_text(str(error)), icon=":material/error:")


def _draw_preview(
    parts: Services, original: Original, passage: Passage, highlights: Spans, key: str
) -> bool:
    """Draw the document as it looks; return False where its text has to do, having said why."""
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
        return False
    if request.passage and not preview.has_passage:
        anyway = f"anyway-{key}"
        if not st.session_state.get(anyway):
            st.info(
                "The passage cannot be marked in the document as it looks, so here is its text.",
                icon=":material/draft:",
            )
            st.button(
                "Show the document all the same", on_click=_remember, args=(anyway,), key=anyway
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
            st.button(
                f"Back to the passage on page {passage.page}",
                key=f"back-{key}",
                icon=":material/undo:",
                type="tertiary",
                on_click=_turn,
                args=(key, passage.page),
            )


def _turn(key: str, page: int) -> None:
    st.session_state[f"page-{key}"] = page


def _draw_text(passage: Passage, highlights: Spans, key: str) -> None:
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


def _head(parts: Services, record: DocumentRecord, document: Document, chunk: Chunk | None) -> str:
    facts = [document.metadata.get("language") or type_label(record.media_type)]
    if chunk is not None and chunk.page is not None:
        facts.append(f"page {chunk.page}")
    facts += [PurePath(record.source).name, document_place(record.source, parts.uploads)]
    items = "".join(f"<li>{plain(fact)}</li>" for fact in facts)
    return f'<ul class="gs-facts">{items}</ul>'


def _text_html(view: Window, highlights: Spans) -> str:
    lead = "" if view.is_start else "… "
    rest = "" if view.is_end else " …"
    passage = highlighted(view.passage, highlights)
    return (
        f'<div class="gs-document">{lead}{plain(view.before)}'
        f'<span id="gs-found" class="gs-found">{passage}</span>'
        f"{plain(view.after)}{rest}</div>"
    )
