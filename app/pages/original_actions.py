"""What can be done with the file that a document is from: download it, open its folder."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.local_folder import can_show_folder, show_folder
from app.originals import Original, read_original
from app.rendering import markdown_text
from app.services import Services
from indexer.errors import UsageError

__all__ = ["original_actions"]


def original_actions(parts: Services, original: Original, key: str) -> None:
    """Draw the buttons, side by side with whatever is in the container at hand.

    Args:
        parts: of the app.
        original: the file.
        key: of what is being read.
    """
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
