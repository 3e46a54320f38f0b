"""A passage within its document: beside the results, or in a drawer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import streamlit as st

from app.hits import document_place, type_label
from app.reader import Window, locate, window
from app.rendering import highlighted, markdown_text, plain
from app.services import Services
from indexer.documents import Chunk
from indexer.errors import IndexerError
from indexer.stores.base import DocumentRecord

__all__ = ["draw_reader", "show_document"]

_FIRST_REACH = 2_000
_FURTHER = 8_000
_TITLE_CHARS = 120
# Constant and ours: nothing of a document ever gets into it.
_SCROLL = """<script>
setTimeout(() => document.getElementById('gs-found')?.scrollIntoView({block: 'center'}), 150)
</script>"""


def show_document(
    parts: Services,
    collection: str,
    record: DocumentRecord,
    chunk: Chunk | None = None,
    highlights: Sequence[tuple[int, int]] = (),
) -> None:
    """Open a drawer with the text of a document around a passage, or from its start.

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

    Args:
        parts: of the app.
        collection: what it is in.
        record: the document.
        chunk: the passage.
        highlights: spans of the passage to mark.
    """
    try:
        with parts.collections.use(collection) as opened:
            document = opened.store.document(record.id)
    except IndexerError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    if document is None:
        st.info("This document was removed since the search. Search again to see what is there.")
        return
    st.html(_head(parts, record, chunk))
    place = locate(document, chunk) if chunk else (0, 0)
    if place is None:
        st.info("This document was changed since the search. Search again to find its passages.")
        return
    key = f"reach-{chunk.id if chunk else record.id}"
    before, after = st.session_state.setdefault(key, (_FIRST_REACH, _FIRST_REACH))
    view = window(document.text, *place, before=before, after=after)
    if not view.is_start:
        st.button(
            "Earlier text",
            icon=":material/expand_less:",
            on_click=_reach,
            args=(key, before + _FURTHER, after),
        )
    st.html(_text(view, highlights))
    if not view.is_end:
        st.button(
            "Further text",
            icon=":material/expand_more:",
            on_click=_reach,
            args=(key, before, after + _FURTHER),
        )
    st.html(_SCROLL, unsafe_allow_javascript=True)


def _reach(key: str, before: int, after: int) -> None:
    st.session_state[key] = (before, after)


def _head(parts: Services, record: DocumentRecord, chunk: Chunk | None) -> str:
    facts = [type_label(record.media_type)]
    if chunk is not None and chunk.page is not None:
        facts.append(f"page {chunk.page}")
    facts += [PurePath(record.source).name, document_place(record.source, parts.uploads)]
    items = "".join(f"<li>{plain(fact)}</li>" for fact in facts)
    return f'<ul class="gs-facts">{items}</ul>'


def _text(view: Window, highlights: Sequence[tuple[int, int]]) -> str:
    lead = "" if view.is_start else "… "
    rest = "" if view.is_end else " …"
    passage = highlighted(view.passage, highlights)
    return (
        f'<div class="gs-document">{lead}{plain(view.before)}'
        f'<span id="gs-found" class="gs-found">{passage}</span>'
        f"{plain(view.after)}{rest}</div>"
    )
