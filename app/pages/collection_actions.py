"""The button that makes a collection, and the menu of all that can be done with one."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.library.versions import previous_version
from app.pages.collection_dialogs import ask_to_delete, ask_to_make, ask_to_rename
from app.pages.rebuild_dialogs import ask_for_rebuild, ask_for_revert
from app.services import Services
from indexer.collections.summary import CollectionSummary

__all__ = ["collection_actions"]

_RENAME = ":material/edit: Rename"
_REBUILD = ":material/restart_alt: Rebuild with other settings"
_REVERT = ":material/undo: Return to the version before"
_CHECK = ":material/health_and_safety: Check that all is sound"
_DELETE = ":material/delete: Delete"


def collection_actions(parts: Services, summary: CollectionSummary | None) -> None:
    """Draw the button that makes a collection, and the menu of the one at hand, if there is one."""
    if st.button("New collection", icon=":material/create_new_folder:"):
        ask_to_make(parts)
    if summary is None:
        return
    version = previous_version(parts.library, summary.name)
    options = [_RENAME, _REBUILD] if summary.problem is None else []
    options += [_REVERT] if version is not None else []
    options += [_CHECK, _DELETE]
    chosen = st.menu_button("Manage", options, icon=":material/settings:", key="manage")
    actions: dict[str, Callable[[], None]] = {
        _RENAME: lambda: ask_to_rename(parts, summary.name),
        _REBUILD: lambda: ask_for_rebuild(parts, summary),
        _REVERT: lambda: ask_for_revert(parts, summary.name, version),
        _CHECK: lambda: parts.upkeep.check(summary.name),
        _DELETE: lambda: ask_to_delete(parts, summary),
    }
    if chosen is not None:
        actions[chosen]()
