"""The documents of a collection, page by page, with what can be done with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path, PurePath

import streamlit as st

from app.library.document_list import MOST_SORTED, ORDERS, Order, document_page
from app.pages.reader import show_document
from app.rendering import markdown_text, visible_line
from app.searching.hits import document_place, type_label
from app.services import Services
from indexer.errors import IndexerError
from indexer.stores.base import DocumentRecord
from indexer.wording import count_text

__all__ = ["documents_table"]

_PER_PAGE = 25
_VERSION = "table-version"


def documents_table(parts: Services, name: str) -> None:
    """Draw the table with its filter, order, pages and buttons."""
    with parts.collections.use(name) as opened:
        total = opened.ledger.totals().documents
        if not total:
            return
        st.subheader("Documents", anchor=False)
        typed, order = _filter(total)
        key = f"page-{name}-{typed}"
        listed = partial(
            document_page,
            opened.store,
            parts.uploads,
            total=total,
            typed=typed,
            order=order,
            per_page=_PER_PAGE,
        )
        page = st.session_state.get(key, 1)
        found = listed(page=page)
        if not found.count:
            st.caption("No document has such a name.")
            return
        pages = -(-found.count // _PER_PAGE)
        if page > pages:  # documents were deleted
            page = st.session_state[key] = pages
            found = listed(page=page)
        if pages > 1:
            st.pagination(pages, key=key)
    chosen = _table(parts, found.records, key=f"documents-{name}-{typed}-{order}-{page}")
    _actions(parts, name, chosen)


def _filter(total: int) -> tuple[str, Order]:
    """Draw what chooses and sorts the documents; return what was typed, and the order."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input(
            "Show only names that contain",
            key="names",
            type="search",
            placeholder="All documents",
        )
        order: Order = "Name"
        if total <= MOST_SORTED:
            order = st.selectbox("Sort by", ORDERS, key="order", width=180)
    return typed or "", order


def _table(parts: Services, records: Sequence[DocumentRecord], *, key: str) -> list[DocumentRecord]:
    """Draw the rows; return those that are selected."""
    version = st.session_state.setdefault(_VERSION, 0)
    state = st.dataframe(
        [_row(parts, record) for record in records],
        hide_index=True,
        width="stretch",
        height="content",
        column_config={
            "Passages": st.column_config.NumberColumn(width="small"),
            "Size": st.column_config.NumberColumn(format="bytes", width="small"),
            "Modified": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
        on_select="rerun",
        selection_mode="multi-row",
        key=f"{key}-{version}",
        alt="Documents of the collection",
    )
    return [records[row] for row in state.selection.rows if row < len(records)]


def _row(parts: Services, record: DocumentRecord) -> dict[str, object]:
    name = PurePath(record.source).name
    return {
        "Name": visible_line(name),
        "Type": type_label(record.media_type),
        "Passages": record.chunks,
        "Size": record.size_bytes,
        "Modified": datetime.fromtimestamp(record.modified_at),
        "Title": visible_line(record.title) if record.title != name else "",
        "From": visible_line(document_place(record.source, parts.uploads)),
    }


def _actions(parts: Services, name: str, chosen: Sequence[DocumentRecord]) -> None:
    if not chosen:
        may = "read" if parts.is_read_only else "read or delete"
        st.caption(f"Select rows to {may} documents.")
        return
    with st.container(horizontal=True):
        if not parts.is_read_only and st.button(
            f"Delete {count_text(len(chosen), 'document')}", icon=":material/delete:", key="delete"
        ):
            _delete(parts, name, chosen)
        if len(chosen) == 1 and st.button("Show text", icon=":material/article:"):
            show_document(parts, name, chosen[0])


@st.dialog("Delete documents?")
def _delete(parts: Services, name: str, chosen: Sequence[DocumentRecord]) -> None:
    passages = sum(record.chunks for record in chosen)
    st.markdown(
        f"{count_text(len(chosen), 'document')} with {count_text(passages, 'passage')} will no "
        "longer be found:"
    )
    names = [markdown_text(PurePath(record.source).name) for record in chosen[:10]]
    rest = [f"and {len(chosen) - 10} more"] if len(chosen) > 10 else []
    st.markdown("\n".join(f"- {entry}" for entry in [*names, *rest]))
    if not all(parts.uploads.owns(Path(record.source)) for record in chosen):
        st.caption("Files that were added by their path stay on the disk.")
    with st.container(horizontal=True):
        is_sure = st.button("Delete", type="primary", icon=":material/delete:", key="delete-yes")
        if st.button("Keep them", key="delete-no"):
            st.rerun()
    if not is_sure:
        return
    try:
        with st.spinner("Waiting for the current batch …"):
            parts.delete_documents(name, [record.id for record in chosen])
    except IndexerError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    st.session_state[_VERSION] += 1  # the selection of the rows that are gone goes with them
    st.rerun()
