"""Adding documents: files or folders from the browser, or a path of this machine."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app.pages.refusals import show_refusals
from app.rendering import markdown_text
from app.services import Services
from app.work.uploads import Upload
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.extraction import ExtractionLimits
from indexer.wording import count_text

__all__ = ["add_documents"]

_ROUND = "upload-round"
_NEWS = "added-news"
_KINDS = (
    "PDF, Word, PowerPoint, spreadsheets, Markdown, HTML, EPUB, e-mail, source code and plain text"
)


def add_documents(parts: Services, collection: str, *, exists: bool) -> None:
    """Draw all ways to add documents; the collection is made with the first of them."""
    files, folder, path = st.tabs(
        [
            ":material/upload_file: Files",
            ":material/drive_folder_upload: Folder",
            ":material/hard_drive: Path on this machine",
        ]
    )
    with files:
        _take_uploads(parts, collection, kind="files", exists=exists)
    with folder:
        _take_uploads(parts, collection, kind="folder", exists=exists)
    with path:
        _take_path(parts, collection, exists=exists)
    show_refusals(_too_large(parts, _limit_mb(parts)))
    if news := st.session_state.pop(_NEWS, None):
        st.toast(news, icon=":material/check:")


def _take_uploads(
    parts: Services, collection: str, *, kind: Literal["files", "folder"], exists: bool
) -> None:
    # A new key for each batch empties the widget, and with it the server's memory.
    turn = st.session_state.setdefault(_ROUND, 0)
    limit = _limit_mb(parts)
    is_folder = kind == "folder"
    name = markdown_text(collection)
    uploaded = st.file_uploader(
        f"Add a whole folder to “{name}”: drop it here, or choose it"
        if is_folder
        else f"Add files to “{name}”: drop them here, or choose them",
        accept_multiple_files="directory" if is_folder else True,
        max_upload_size=limit,
        key=f"{'folders' if is_folder else 'uploads'}-{turn}",
    )
    st.caption(f"{_KINDS}; up to {limit:,} MB a file. Copies are kept, your own files stay.")
    if not uploaded:
        return
    uploads = [Upload(file.name, file, file.size, is_of_folder=is_folder) for file in uploaded]
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


def _limit_mb(parts: Services) -> int:
    """Return what one file may have: by the settings, and by what the server lets through."""
    let_through: int = st.get_option("server.maxUploadSize")
    return min(parts.settings.upload_mb, let_through)


def _too_large(parts: Services, limit: int) -> str:
    """Return why a file that is too large is not sent, and what to do."""
    most = f"files of up to {ExtractionLimits().max_file_bytes >> 20:,} MB"
    other_way = (
        f"Add it under “Path on this machine”, where {most} are read in their place."
        if parts.takes_paths
        else f"On the machine of this app, `gircse index PATH` takes {most}."
    )
    return f"it is larger than the {limit:,} MB that one upload may have. {other_way}"


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
