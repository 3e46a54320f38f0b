"""Adding documents: files dropped or chosen in the browser, or a path on this machine."""

from __future__ import annotations

import streamlit as st

from app.rendering import markdown_text
from app.services import Services
from app.uploads import Upload
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.wording import count_text

__all__ = ["add_documents"]

_ROUND = "upload-round"
_NEWS = "added-news"


def add_documents(parts: Services, collection: str, *, exists: bool) -> None:
    """Draw both ways to add documents; the collection is made with the first of them."""
    files, folder = st.tabs([":material/upload_file: Files", ":material/folder: Folder"])
    with files:
        _take_uploads(parts, collection, exists=exists)
    with folder:
        _take_path(parts, collection, exists=exists)
    if news := st.session_state.pop(_NEWS, None):
        st.toast(news, icon=":material/check:")


def _take_uploads(parts: Services, collection: str, *, exists: bool) -> None:
    # A new key for each batch empties the widget, and with it the server's memory.
    turn = st.session_state.setdefault(_ROUND, 0)
    uploaded = st.file_uploader(
        f"Add files to “{collection}”: drop them here, or choose them",
        accept_multiple_files=True,
        key=f"uploads-{turn}",
        help="PDF, Word, PowerPoint, spreadsheets, Markdown, HTML, EPUB, e-mail, source code and "
        "plain text. The files are copied; your own stay as they are.",
    )
    if not uploaded:
        return
    uploads = [Upload(file.name, file, file.size) for file in uploaded]
    try:
        if not exists:
            parts.create_collection(collection)
        parts.add_uploads(collection, uploads)
    except (IndexerError, ModelError) as error:
        # The files stay in the widget: once the cause is mended, any click tries again.
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    st.session_state[_ROUND] = turn + 1
    st.session_state[_NEWS] = f"{count_text(len(uploads), 'file')} added"
    st.rerun()


def _take_path(parts: Services, collection: str, *, exists: bool) -> None:
    if not parts.takes_paths:
        st.info(
            "The app can be reached from other machines, so paths on this one are not taken. "
            "Use `gircse index PATH` in a terminal here.",
            icon=":material/lock:",
        )
        return
    with st.form("path-form", border=False, clear_on_submit=True):
        text = st.text_input(
            "Path of a folder or file on this machine",
            placeholder="~/Documents",
            help="A folder is searched to any depth. Its files are read where they are; add it "
            "again to take in what is new or changed.",
        )
        if not st.form_submit_button("Add", icon=":material/add:"):
            return
    try:
        path = parts.check_path(text or "")
        if not exists:
            parts.create_collection(collection)
        parts.add_path(collection, path)
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")
        return
    st.session_state[_NEWS] = f"{markdown_text(str(path))} added"
    st.rerun()
