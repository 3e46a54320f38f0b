import os

import pytest

from indexer.errors import StorageError
from indexer.indexing.discovery import FileEntry
from indexer.indexing.planning import WorkItem
from indexer.indexing.work_list import WorkList


def test_what_was_added_comes_back_in_order_whatever_the_names(tmp_path):
    names = ["/a.md", "/new\nline.md", '/quote".md', os.fsdecode(b"/latin-\xe9.md"), "/имя.md"]
    items = [
        WorkItem(FileEntry(name, number, number * 10), f"id-{number}", None, 0)
        for number, name in enumerate(names)
    ]
    with WorkList(tmp_path) as work:
        assert list(work) == []
        work.extend(items[:2])
        work.extend([])
        work.extend(items[2:])
        assert len(work) == 5
        assert list(work) == items
        assert [os.fsencode(item.entry.location) for item in work][3] == b"/latin-\xe9.md"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(StorageError, match="gone"):
        WorkList(tmp_path / "gone")
