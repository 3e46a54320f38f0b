"""A passage within its document: beside the results, or in a drawer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import streamlit as st

from app.pages.original_actions import original_actions
from app.pages.reader_views import Spans, draw_preview, draw_text
from app.reading.originals import original_of
from app.reading.reader import TEXT, Passage, locate, view_names
from app.rendering import markdown_text, plain
from app.searching.hits import document_place, type_label
from app.services import Services
from indexer.documents import Chunk, Document
from indexer.errors import IndexerError
from indexer.stores.base import DocumentRecord

__all__ = ["draw_reader", "show_document"]

_TITLE_CHARS = 120
# Constant and ours, but for a key of ours that has it run again for another passage: nothing of a
# document ever gets into it. While the page is drawn, the passage may come late, move, or stand
# there twice: it is looked after for some seconds, or until the user does anything. Beside the
# results only the reader scrolls: the page stays where it is.
_SCROLL = """<script data-for="{key}">
(function () {{
  let tries = 40;
  const stop = () => {{ tries = 0; }};
  for (const deed of ['wheel', 'touchstart', 'pointerdown', 'keydown'])
    addEventListener(deed, stop, {{once: true, passive: true, capture: true}});
  (function look() {{
    if (tries-- <= 0) return;
    const found = [...document.querySelectorAll('#gs-found')].at(-1);
    if (found) show(found);
    setTimeout(look, 100);
  }})();
  function show(found) {{
    const pane = found.closest('[class*="st-key-gs-reader-"]');
    if (!pane) return found.scrollIntoView({{block: 'center', inline: 'nearest'}});
    const [inner, outer] = [found.getBoundingClientRect(), pane.getBoundingClientRect()];
    const above = Math.max(72, (outer.height - inner.height) / 2);
    pane.scrollTop += inner.top - outer.top - above;
  }}
}})()
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
    *,
    place: str = "",
) -> None:
    """Draw a document around a passage, or from its start, into the container at hand.

    It is a fragment: turning pages in it leaves the rest of the page alone.

    Args:
        parts: of the app.
        collection: what it is in.
        record: the document.
        chunk: the passage.
        highlights: spans of the passage to mark.
        place: of the reader on the page; in another one the passage is looked for anew.
    """
    st.fragment(_draw)(parts, collection, record, chunk, tuple(highlights), place)


def _draw(
    parts: Services,
    collection: str,
    record: DocumentRecord,
    chunk: Chunk | None,
    highlights: Spans,
    place_on_page: str,
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
        original_actions(parts, original, key)
    if original.problem:
        st.info(original.problem, icon=":material/draft:")
    passage = Passage(document, chunk, *place)
    if view == TEXT or not draw_preview(parts, original, passage, highlights, key):
        draw_text(passage, highlights, key)
    st.html(_SCROLL.format(key=f"{key}-{view}-{place_on_page}"), unsafe_allow_javascript=True)


def _head(parts: Services, record: DocumentRecord, document: Document, chunk: Chunk | None) -> str:
    facts = [document.metadata.get("language") or type_label(record.media_type)]
    if chunk is not None and chunk.page is not None:
        facts.append(f"page {chunk.page}")
    facts += [PurePath(record.source).name, document_place(record.source, parts.uploads)]
    items = "".join(f"<li>{plain(fact)}</li>" for fact in facts)
    return f'<ul class="gs-facts">{items}</ul>'
