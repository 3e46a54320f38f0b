from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.indexer.stores.content import STORES, Opened, open_store


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def opened(kind: str, tmp_path: Path) -> Iterator[Opened]:
    opened = open_store(kind, tmp_path, is_flushed=kind.startswith("faiss "))
    yield opened
    opened.close()
