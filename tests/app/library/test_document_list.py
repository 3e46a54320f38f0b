from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.library import document_list
from app.library.document_list import ORDERS, Order, document_page
from app.work.uploads import UploadFolder, UploadLimits
from indexer.searching.filters import Where
from indexer.stores.base import DocumentRecord


class Store:
    """A store of a few documents, as far as the list asks for them."""

    def __init__(self, records: Sequence[DocumentRecord]) -> None:
        self.records = sorted(records, key=lambda record: record.source)
        self.asked: list[Where | None] = []

    def documents(
        self, *, where: Where | None = None, offset: int = 0, limit: int | None = None
    ) -> list[DocumentRecord]:
        self.asked.append(where)
        return self.records[offset : None if limit is None else offset + limit]


@pytest.fixture
def uploads(tmp_path: Path) -> UploadFolder:
    return UploadFolder(tmp_path, UploadLimits(1, 1))


def record(source: str, *, size: int = 1, modified: float = 1.0) -> DocumentRecord:
    return DocumentRecord(
        id=source,
        source=source,
        title="",
        media_type="text/plain",
        modified_at=modified,
        size_bytes=size,
        metadata={},
        chunks=1,
    )


@pytest.fixture
def store(uploads: UploadFolder) -> Store:
    return Store(
        [
            record(f"{uploads.root}/work-1/ff00/beans.md", size=3, modified=5.0),
            record(f"{uploads.root}/work-1/0a00/garden/Apples.md", size=9, modified=1.0),
            record("/docs/garden/plums.md", size=2, modified=9.0),
        ]
    )


def names(
    store: Store, uploads: UploadFolder, *, typed: str = "", order: Order = "Name", **more: Any
):
    values = {"total": len(store.records), "page": 1, "per_page": 10, **more}
    page = document_page(store, uploads, typed=typed, order=order, **values)  # type: ignore[arg-type]
    return [Path(found.source).name for found in page.records], page.count


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("Name", ["Apples.md", "beans.md", "plums.md"]),
        ("Newest first", ["plums.md", "beans.md", "Apples.md"]),
        ("Largest first", ["Apples.md", "beans.md", "plums.md"]),
    ],
)
def test_documents_come_in_the_order_that_was_asked_for(
    store: Store, uploads: UploadFolder, order: Order, expected: list[str]
) -> None:
    assert names(store, uploads, order=order) == (expected, 3)
    assert set(ORDERS) >= {order}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("BEAN", ["beans.md"]),
        ("garden", ["Apples.md", "plums.md"]),
        ("uploaded", ["Apples.md", "beans.md"]),
        ("work-1", []),  # the folder that copies are in
        ("ff00", []),
        ("*/p*.md", ["plums.md"]),
        ("[", []),
    ],
)
def test_what_is_typed_is_looked_for_in_what_is_shown(
    store: Store, uploads: UploadFolder, typed: str, expected: list[str]
) -> None:
    assert names(store, uploads, typed=typed) == (expected, len(expected))


def test_pages_follow_each_other(store: Store, uploads: UploadFolder) -> None:
    assert names(store, uploads, per_page=2, page=1) == (["Apples.md", "beans.md"], 3)
    assert names(store, uploads, per_page=2, page=2) == (["plums.md"], 3)
    assert names(store, uploads, per_page=2, page=3) == ([], 3)


def test_of_many_documents_only_a_page_is_read(
    store: Store, uploads: UploadFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_list, "MOST_SORTED", 2)
    found, count = names(store, uploads, per_page=1, page=2)
    assert (len(found), count) == (1, 3)
    assert store.asked == [None]
    names(store, uploads, typed="bean")
    assert store.asked[-1] == Where(path_glob="*bean*")
