"""Passages to find more or less of: kept in the address, so that such a search can be shared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st

from app.rendering import markdown_text
from app.searching.query import Query
from app.services import Services
from indexer.stores.base import StoredChunk

__all__ = ["Feedback", "Kind", "clear", "current", "mark", "show", "with_feedback"]

Kind = Literal["like", "unlike", "similar"]

_KINDS: tuple[Kind, ...] = ("similar", "like", "unlike")
_SAID: dict[Kind, str] = {"similar": "Similar to", "like": "More of", "unlike": "Less of"}
_ICONS: dict[Kind, str] = {
    "similar": ":material/hub:",
    "like": ":material/add:",
    "unlike": ":material/remove:",
}
_MOST, _ID_CHARS = 20, 64
_TITLE_CHARS = 32


@dataclass(frozen=True, slots=True)
class Feedback:
    """Ids of passages.

    Args:
        similar: the passages that are searched by alone; none where the question is.
        like: to find more of.
        unlike: to find less of.
    """

    similar: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.similar or self.like or self.unlike)

    def of(self, kind: Kind) -> tuple[str, ...]:
        """Return the passages of a kind."""
        return {"similar": self.similar, "like": self.like, "unlike": self.unlike}[kind]


def current() -> Feedback:
    """Return what the address says."""
    return Feedback(**{kind: _ids(kind) for kind in _KINDS})


def with_feedback(query: Query, feedback: Feedback) -> Query:
    """Return the query that the feedback makes of one: words alone cannot be moved by it."""
    if feedback.similar:
        liked = (*feedback.similar, *feedback.like)
        return replace(query, text="", mode="dense", like=liked, unlike=feedback.unlike)
    if query.mode == "lexical":
        return query
    return replace(query, like=feedback.like, unlike=feedback.unlike)


def mark(kind: Kind, chunk_id: str) -> None:
    """Take a passage in as of a kind, or back out of it; a callback."""
    before = current()
    for other in _KINDS:
        ids = [one for one in before.of(other) if one != chunk_id]
        if other == kind and chunk_id not in before.of(kind):
            # One passage at a time is what others are similar to.
            ids = [chunk_id] if kind == "similar" else [*ids, chunk_id][-_MOST:]
        _write(other, ids)


def clear() -> None:
    """Go back to the question alone; a callback."""
    for kind in _KINDS:
        _write(kind, [])


def show(parts: Services, collection: str, feedback: Feedback) -> None:
    """Draw what the search is moved by, each with a way to take it back."""
    every = [*feedback.similar, *feedback.like, *feedback.unlike]
    with parts.collections.use(collection) as opened:
        stored = opened.store.get(every)
    with st.container(horizontal=True, gap="small", key="gs-feedback"):
        for kind in _KINDS:
            for chunk_id in feedback.of(kind):
                what = _place(stored[chunk_id]) if chunk_id in stored else "a passage that is gone"
                st.button(
                    markdown_text(f"{_SAID[kind]} {what}") + " \u00d7",
                    key=f"take-back-{kind}-{chunk_id}",
                    icon=_ICONS[kind],
                    on_click=mark,
                    args=(kind, chunk_id),
                    help="Take this back",
                )
        if len(every) > 1:
            st.button("Take all back", key="take-all-back", type="tertiary", on_click=clear)


def _ids(kind: Kind) -> tuple[str, ...]:
    named = [one for one in st.query_params.get_all(kind) if 0 < len(one) <= _ID_CHARS]
    return tuple(dict.fromkeys(named))[:_MOST]


def _write(kind: Kind, ids: list[str]) -> None:
    if ids:
        st.query_params[kind] = ids
    elif kind in st.query_params:
        del st.query_params[kind]


def _place(stored: StoredChunk) -> str:
    """Return which passage it is: its document, and the page or the heading that it is under."""
    document, chunk = stored.document, stored.chunk
    heading = chunk.context.rpartition("\u203a")[2].strip()
    where = _short(heading) if heading != document.title else ""
    if chunk.page is not None:
        where = f"page {chunk.page}"
    title = f"\u201c{_short(document.title)}\u201d"
    return f"{title}, {where}" if where else title


def _short(title: str) -> str:
    return title if len(title) <= _TITLE_CHARS else title[:_TITLE_CHARS].rstrip() + "\u2026"
