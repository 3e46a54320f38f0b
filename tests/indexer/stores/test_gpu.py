"""What is done where FAISS sees a GPU: on a real one where there is one, else on a double of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from indexer.searching.filters import Where
from indexer.stores import gpu
from tests.indexer.stores.content import Opened, open_store, vectors_of

HAS_GPU = faiss.get_num_gpus() > 0
PASSAGES = [f"passage {number}" for number in range(400)]


class GpuDouble:
    """An index that refuses what FAISS's GPU indexes refuse, around one on the CPU."""

    __slots__ = ("_busy", "inner", "nprobe", "searches")  # FAISS takes no other attributes

    def __init__(self, index: Any) -> None:
        self.inner = index
        self.nprobe = 1
        self.searches = 0
        self._busy = threading.Lock()

    @property
    def ntotal(self) -> int:
        return self.inner.ntotal

    def train(self, vectors: Any) -> None:
        self.inner.train(vectors)

    def add(self, vectors: Any) -> None:
        self.inner.add(vectors)

    def add_with_ids(self, vectors: Any, ids: Any) -> None:
        self.inner.add_with_ids(vectors, ids)

    def search(self, queries: Any, count: int) -> Any:
        assert self._busy.acquire(blocking=False), "two searches on one GPU resource"
        try:
            self.searches += 1
            if hasattr(self.inner, "nprobe"):
                self.inner.nprobe = self.nprobe
            return self.inner.search(queries, count)
        finally:
            self._busy.release()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[GpuDouble]]:
    """A machine with one GPU, as far as FAISS says; what is put on it."""
    made: list[GpuDouble] = []

    def put(index: Any) -> GpuDouble:
        made.append(GpuDouble(index))
        return made[-1]

    doubles = {
        "get_num_gpus": lambda: 1,
        "StandardGpuResources": object,
        "GpuIndexFlatConfig": type("Config", (), {"useFloat16": False}),
        "GpuIndexFlatIP": lambda _resources, dim, _config: put(faiss.IndexFlatIP(dim)),
        "index_cpu_to_gpu": lambda _resources, _device, index: put(faiss.clone_index(index)),
        "index_gpu_to_cpu": lambda copy: copy.inner,
    }
    for name, value in doubles.items():
        monkeypatch.setattr(faiss, name, value, raising=False)
    gpu.gpu_count.cache_clear()
    yield made
    gpu.gpu_count.cache_clear()


def written(directory: Path, kind: str) -> Opened:
    opened = open_store(kind, directory)
    opened.add("a", PASSAGES, media_type="pdf")
    opened.add("b", ["other one", "other two"], media_type="text")
    opened.store.flush()
    return opened


@pytest.mark.parametrize("kind", ["faiss", "faiss sqfp16", "faiss ivf_sq8"])
def test_a_copy_on_the_gpu_is_searched(kind: str, tmp_path: Path, seen: list[GpuDouble]) -> None:
    opened = written(tmp_path, kind)
    ((hit, *_),) = opened.store.search(vectors_of([PASSAGES[5]]), top_k=5)
    assert seen[-1].searches == 1
    assert opened.store.get([hit.chunk_id])[hit.chunk_id].chunk.text == PASSAGES[5]

    opened.add(
        "a", PASSAGES[10:], media_type="pdf"
    )  # what is left out is asked for as well, and dropped
    found = opened.store.search(vectors_of(PASSAGES), top_k=3)
    stored = opened.store.get([hit.chunk_id for hits in found for hit in hits])
    assert {one.chunk.text for one in stored.values()} <= {*PASSAGES[10:], "other one", "other two"}
    ((only, *_),) = opened.store.search(
        vectors_of([PASSAGES[50]]), top_k=3, where=Where(media_types=("pdf",))
    )
    assert opened.store.get([only.chunk_id])[only.chunk_id].chunk.text == PASSAGES[50]
    assert seen[-1].searches > 1
    opened.close()


def test_one_thread_at_a_time_searches_on_the_gpu(tmp_path: Path, seen: list[GpuDouble]) -> None:
    opened = written(tmp_path, "faiss")
    faults: list[BaseException] = []

    def search() -> None:
        try:
            for number in range(30):
                opened.store.search(vectors_of([f"query {number}"]), top_k=5)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not faults
    assert seen[-1].searches == 180
    opened.close()


def test_what_the_gpu_built_is_written_by_way_of_the_cpu(tmp_path: Path, seen) -> None:
    opened = written(tmp_path, "faiss ivf_sq8")
    assert len(seen) == 1
    assert seen[0].ntotal == 402
    opened.close()

    index = faiss.read_index(str(tmp_path / "index.faiss"))

    assert isinstance(index, faiss.IndexIVFScalarQuantizer)
    assert index.ntotal == 402


@pytest.mark.parametrize("kind", ["faiss", "faiss ivf_sq8"])
def test_a_gpu_that_refuses_is_done_without(kind, tmp_path, seen, monkeypatch, caplog) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(faiss, "StandardGpuResources", refuse)
    opened = written(tmp_path, kind)

    assert len(opened.found("x", top_k=1000)) == 402
    assert not seen
    assert "the GPU refused it: out of memory" in caplog.text
    opened.close()


def test_types_that_no_gpu_knows_are_searched_on_the_cpu(tmp_path, seen, caplog) -> None:
    with caplog.at_level(logging.INFO, logger="indexer"):
        opened = written(tmp_path, "faiss hnsw")
        assert len(opened.found("x", top_k=1000)) == 402
    assert not seen
    assert "an index of type hnsw is searched on the CPU" in caplog.text
    opened.close()


@pytest.mark.skipif(HAS_GPU, reason="FAISS sees a GPU here")
def test_without_a_gpu_one_line_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gpu.gpu_count.cache_clear()
    with caplog.at_level(logging.INFO, logger="indexer"):
        opened = written(tmp_path, "faiss ivf_sq8")
        opened.found("x")
        opened.store.build()
        opened.found("x")
    assert caplog.text.count("FAISS sees no GPU: uses the CPU") == 1
    opened.close()


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason="FAISS sees no GPU here")
@pytest.mark.parametrize("kind", ["faiss", "faiss sqfp16", "faiss ivf_sq8"])
def test_a_real_gpu_finds_what_the_cpu_finds(kind: str, tmp_path: Path) -> None:
    opened = written(tmp_path, kind)
    queries = vectors_of([f"query {number}" for number in range(50)])
    on_gpu = opened.store.search(queries, top_k=5)
    with opened.store.dense.snapshot():
        base = opened.store.dense._searched.base
    assert base.gpu is not None

    base.gpu = None

    on_cpu = opened.store.search(queries, top_k=5)
    same = [one == other for one, other in zip(on_gpu, on_cpu, strict=True)]
    assert np.mean(same) >= 0.95
    opened.close()
