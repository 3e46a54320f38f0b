"""What was judged in a collection: how much, for which queries, and taking it away or along."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.quality.measuring import export_archive
from app.rendering import markdown_text, visible_line
from app.services import Services
from app.serving.downloads import Offer
from indexer.evaluation.judged_queries import JudgedQuery
from indexer.evaluation.judgement_book import JudgementBook
from indexer.wording import count_text, time_text

__all__ = ["show_judgements"]

_VERSION = "judgements-version"


def show_judgements(parts: Services, collection: str) -> bool:
    """Draw what was judged; return whether something can be measured by it."""
    with parts.collections.use(collection) as opened:
        book = JudgementBook(opened.directory)
        queries = book.queries()
        usable, missing = book.judgements(opened.store.documents())
    if not queries:
        st.info(
            "No hit of this collection has been judged yet. Search for something, and give a thumb "
            "up to passages that answer and a thumb down to those that do not; a dozen queries are "
            "a start.",
            icon=":material/thumbs_up_down:",
        )
        st.page_link(st.session_state["pages"]["search"], label="Search and judge")
        return False
    ups = sum(one.grade > 0 for query in queries for one in query.passages)
    downs = sum(len(query.passages) for query in queries) - ups
    facts = [
        f"{len(queries):,} judged {'query' if len(queries) == 1 else 'queries'}",
        f"{count_text(ups, 'thumb')} up",
        f"{count_text(downs, 'thumb')} down",
    ]
    if len(usable.queries) < len(queries):
        facts.append(f"{len(queries) - len(usable.queries):,} without an answer to find")
    if missing:
        facts.append(f"{count_text(missing, 'judged document')} not in the collection any more")
    st.caption(" · ".join(facts))
    with st.expander("What was judged", icon=":material/rule:"):
        _list(parts, collection, book, queries)
    if not usable.queries:
        st.info(
            "Nothing can be measured yet: no query has a document that answers it. Give a thumb up "
            "to a passage that does.",
            icon=":material/thumb_up:",
        )
    return bool(usable.queries)


def _list(
    parts: Services, collection: str, book: JudgementBook, queries: tuple[JudgedQuery, ...]
) -> None:
    version = st.session_state.setdefault(_VERSION, 0)
    newest = sorted(queries, key=lambda query: -query.passages[-1].judged_at)
    state = st.dataframe(
        [
            {
                "Query": visible_line(query.text),
                "Thumbs up": sum(one.grade > 0 for one in query.passages),
                "Thumbs down": sum(one.grade <= 0 for one in query.passages),
                "Last judged": time_text(query.passages[-1].judged_at),
            }
            for query in newest
        ],
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="multi-row",
        key=f"judgements-{collection}-{version}",
        alt="Judged queries of the collection",
    )
    with st.container(horizontal=True):
        offer = Offer(f"{collection}-judgements.zip", partial(_archive, parts, collection))
        st.link_button(
            "Download as BEIR files",
            parts.downloads.offer(("judgements", collection), offer),
            icon=":material/download:",
        )
        chosen = [] if parts.is_read_only else [newest[row] for row in state.selection.rows]
        if chosen and st.button(
            f"Take back what was said for {len(chosen):,} "
            f"{'query' if len(chosen) == 1 else 'queries'}",
            icon=":material/undo:",
        ):
            for query in chosen:
                book.forget(query.id)
            st.session_state[_VERSION] = version + 1
            st.rerun()
    st.caption(
        markdown_text(
            f"In a terminal: gircse judgements list {collection}, gircse tune {collection}"
        )
    )


def _archive(parts: Services, collection: str) -> bytes:
    """Return what was judged by now; the collection may be gone since the page was drawn."""
    with parts.collections.use(collection) as opened:
        return export_archive(JudgementBook(opened.directory))
