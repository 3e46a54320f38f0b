from __future__ import annotations

from pathlib import Path

import pytest

from tests.indexer.reindexing.rebuilds import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Two dozen documents, indexed."""
    bench = Bench(tmp_path)
    bench.write_many()
    bench.index()
    return bench
