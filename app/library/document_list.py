"""The documents of a collection as a list that can be searched by name, sorted and paged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Literal, get_args

from app.searching.hits import document_place
from app.searching.query import path_pattern
from app.work.uploads import UploadFolder
from indexer.searching.filters import Where
from indexer.stores.base import DocumentRecord, VectorStore

__all__ = ["MOST_SORTED", "ORDERS", "DocumentPage", "Order", "document_page"]

MOST_SORTED = 20_000
"""In larger collections documents come in the order of their paths, which the store has ready."""

Order = Literal["Name", "Newest first", "Largest first", "Folder"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """One page of the list.

    Args:
        records: the documents on it.
        count: how many there are on all pages.
    """

    records: Sequence[DocumentRecord]
    count: int


def document_page(
    store: VectorStore,
    uploads: UploadFolder,
    *,
    total: int,
    typed: str,
    order: Order,
    page: int,
    per_page: int,
) -> DocumentPage:
    """Return one page of the documents of a store.

    Args:
        store: of the collection.
        uploads: tells copies of uploads from other files.
        total: documents in the store.
        typed: part of a name or folder, or a pattern for both; empty for all.
        order: in which they come, in collections of up to ``MOST_SORTED`` documents.
        page: from 1.
        per_page: documents on a page.
    """
    begin = (page - 1) * per_page
    if total > MOST_SORTED:
        where = Where(path_glob=path_pattern(typed)) or None
        count = len(store.documents(where=where)) if where else total
        return DocumentPage(store.documents(where=where, offset=begin, limit=per_page), count)
    found = sorted(store.documents(), key=_KEYS[order])
    pattern = path_pattern(typed)
    if pattern is not None:
        wanted = pattern.casefold()
        found = [one for one in found if fnmatchcase(_shown(one, uploads).casefold(), wanted)]
    return DocumentPage(found[begin : begin + per_page], len(found))


def _shown(record: DocumentRecord, uploads: UploadFolder) -> str:
    """Return place and name as the list shows them; where copies are is nobody's business."""
    return f"{document_place(record.source, uploads)}/{PurePath(record.source).name}"


def _name(record: DocumentRecord) -> tuple[str, str]:
    return record.source.rpartition("/")[2].casefold(), record.source


_KEYS: dict[Order, Callable[[DocumentRecord], tuple[object, ...]]] = {
    "Name": _name,
    "Newest first": lambda record: (-record.modified_at, *_name(record)),
    "Largest first": lambda record: (-record.size_bytes, *_name(record)),
    "Folder": lambda record: (record.source,),
}
