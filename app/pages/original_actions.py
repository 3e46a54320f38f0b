"""What can be done with the file that a document is from: download it, open its folder."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.reading.local_folder import can_show_folder, show_folder
from app.reading.originals import Original, read_original
from app.rendering import markdown_text
from app.services import Services
from app.serving.downloads import Offer
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
        offer = Offer(original.name, partial(read_original, original))
        st.link_button(
            "Download",
            parts.downloads.offer(("original", original.path, original.sha256), offer),
            icon=":material/download:",
            type="tertiary",
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
