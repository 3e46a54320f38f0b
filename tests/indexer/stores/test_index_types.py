"""Every type of index: what was deleted leaves no trace, what is there is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.documents import document_id
from indexer.errors import UsageError
from indexer.searching.filters import Where
from indexer.stores.built_index import BuiltIndex
from indexer.stores.faiss import FaissStore
from indexer.stores.index_building import Steps, build_index, update_index
from indexer.stores.index_file import UnusableIndexError, import_faiss
from indexer.stores.index_stamp import IndexStamp
from indexer.stores.index_types import INDEX_TYPES, index_type_named, list_count
from indexer.stores.row_set import RowSet
from tests.indexer.stores.content import DIM, FAISS_STORES, Opened, open_store, vectors_of

DOCUMENTS = 30
PASSAGES = 40
QUERIES = vectors_of([f"query {number}" for number in range(40)])


@pytest.fixture(params=FAISS_STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def fill(opened: Opened) -> None:
    for number in range(DOCUMENTS):
        opened.add(
            f"{number}",
            [f"{number} passage {part}" for part in range(PASSAGES)],
            media_type="pdf" if number % 3 else "text",
        )


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents and no index."""
    folder = tmp_path_factory.mktemp("content")
    opened = open_store("faiss", folder)
    fill(opened)
    opened.archive.close()
    opened.database.close()
    return folder


@pytest.fixture
def filled(kind: str, content: Path, tmp_path: Path) -> Iterator[Opened]:
    """A store whose index is built from more vectors than are looked at one by one."""
    shutil.copytree(content, tmp_path, dirs_exist_ok=True)
    opened = open_store(kind, tmp_path)
    opened.store.flush()
    yield opened
    opened.close()


def owners(opened: Opened, *, top_k: int, where: Where | None = None) -> set[str]:
    """Return the documents of all hits of all queries."""
    found = opened.store.search(QUERIES, top_k=top_k, where=where)
    assert all(len(hits) == len({hit.chunk_id for hit in hits}) for hits in found)
    stored = opened.store.get([hit.chunk_id for hits in found for hit in hits])
    return {one.document.source.removeprefix("/home/me/") for one in stored.values()}


def recall(opened: Opened, *, where: Where | None = None, top_k: int = 10) -> float:
    """Return the share of the closest chunks that is found, and check what is."""
    chunks, vectors = [], []
    for stored, part in opened.store.scroll():
        chunks += stored
        vectors.append(part)
    kept = [
        not where or not where.media_types or one.document.media_type in where.media_types
        for one in chunks
    ]
    cosines = np.where(kept, QUERIES @ np.concatenate(vectors).T, -2.0)
    hit = 0
    for row, hits in zip(
        cosines, opened.store.search(QUERIES, top_k=top_k, where=where), strict=True
    ):
        best = np.argsort(-row)[:top_k]
        hit += len({chunks[one].chunk.id for one in best} & {one.chunk_id for one in hits})
        scores = {one.chunk.id: score for one, score in zip(chunks, row, strict=True)}
        assert [one.score for one in hits] == pytest.approx(
            [scores[one.chunk_id] for one in hits], abs=1e-5
        )
    return hit / (len(QUERIES) * top_k)


def stored_rows(opened: Opened) -> RowSet:
    """Return the rows that the index file holds."""
    index = import_faiss().read_index(str(opened.directory / "index.faiss"))
    stamp = IndexStamp.read(opened.directory / "index.json")
    return BuiltIndex(INDEX_TYPES[stamp.built_as], index).rows


def test_the_closest_are_found(filled: Opened) -> None:
    least = 1.0 if filled.store.index_type in ("flat", "sqfp16", "sq8") else 0.95
    assert recall(filled) >= least
    assert recall(filled, top_k=100) >= least
    assert recall(filled, where=Where(media_types=("text",))) >= least
    few = Where(document_ids=(document_id("/home/me/7"),))
    assert owners(filled, top_k=50, where=few) == {"7"}


def test_every_passage_finds_itself_after_a_tenth_was_removed(filled: Opened) -> None:
    """IndexIDMap2 around an inverted file says that it removed, and gives every id to another."""
    filled.delete(*(f"{number}" for number in range(DOCUMENTS // 10)))
    filled.store.flush()
    kept = [one for stored, _ in filled.store.scroll() for one in stored]
    vectors = np.concatenate([vectors for _, vectors in filled.store.scroll()])

    found = filled.store.search(vectors, top_k=1)

    itself = [hits[0].chunk_id == one.chunk.id for hits, one in zip(found, kept, strict=True)]
    assert np.mean(itself) >= (1.0 if "hnsw" not in filled.store.index_type else 0.98)


def test_half_of_the_documents_deleted_leave_no_trace(filled: Opened, kind: str) -> None:
    odd = {f"{number}" for number in range(1, DOCUMENTS, 2)}
    even = {f"{number}" for number in range(0, DOCUMENTS, 2)}
    owners(filled, top_k=10)  # the index is in use

    assert filled.delete(*odd) == len(odd)

    def check(opened: Opened) -> None:
        assert owners(opened, top_k=20) <= even
        assert owners(opened, top_k=20, where=Where(media_types=("pdf",))) <= even
        assert owners(opened, top_k=DOCUMENTS * PASSAGES) == even
        gone = Where(document_ids=tuple(document_id(f"/home/me/{name}") for name in odd))
        assert opened.store.search(QUERIES, top_k=5, where=gone) == [[]] * len(QUERIES)
        assert recall(opened) >= 0.95

    check(filled)
    filled.store.flush()
    check(filled)
    assert filled.store.check_index() == []
    assert len(stored_rows(filled)) == DOCUMENTS * PASSAGES // 2
    again = open_store(kind, filled.directory)
    check(again)
    again.close()


def test_few_deletions_leave_no_trace_either(filled: Opened, kind: str) -> None:
    """A graph is not built anew for so few: they stay in the file and are passed over."""
    filled.delete("3", "4")
    filled.store.flush()
    again = open_store(kind, filled.directory)

    for opened in (filled, again):
        assert not owners(opened, top_k=20) & {"3", "4"}
        everything = owners(opened, top_k=DOCUMENTS * PASSAGES)
        assert everything == {f"{number}" for number in range(DOCUMENTS)} - {"3", "4"}
        assert opened.store.check_index() == []
    left = DOCUMENTS * PASSAGES - (0 if "hnsw" in kind else 2 * PASSAGES)
    assert len(stored_rows(filled)) == left
    again.close()


def test_what_comes_back_is_found_once(filled: Opened, kind: str) -> None:
    passages = [f"3 passage {part}" for part in range(PASSAGES)]
    filled.delete("3")
    filled.store.flush()
    filled.add("3", passages)
    filled.add("other", passages)

    for _ in range(2):
        (hits,) = filled.store.search(vectors_of([passages[5]]), top_k=5)
        stored = filled.store.get([hit.chunk_id for hit in hits])
        first = [stored[hit.chunk_id] for hit in hits[:2]]
        assert {one.document.source for one in first} == {"/home/me/3", "/home/me/other"}
        assert {one.chunk.text for one in first} == {passages[5]}
        assert len({hit.chunk_id for hit in hits}) == 5
        filled.store.flush()
    assert len(stored_rows(filled)) == DOCUMENTS * PASSAGES


@pytest.mark.parametrize("count", [1, 2, 38, 39, 40, 79, 300])
def test_an_index_of_few_vectors_can_be_built(kind: str, tmp_path: Path, count: int) -> None:
    """FAISS refuses to train more lists than there are vectors, and to add to an untrained one."""
    opened = open_store(kind, tmp_path)
    chunks = opened.add("a", [f"passage {number}" for number in range(count)])

    opened.store.flush()

    assert len(stored_rows(opened)) == count
    assert set(opened.found("x", top_k=1000)) == {chunk.id for chunk in chunks}
    opened.close()


def test_a_type_for_many_vectors_starts_as_a_flat_one(tmp_path: Path) -> None:
    opened = open_store("faiss", tmp_path)
    opened.add("a", ["alpha", "beta"])
    store = FaissStore(tmp_path, opened.database, opened.archive, "ivf_sq8")
    store.build()

    stamp = IndexStamp.read(tmp_path / "index.json")

    assert (stamp.index_type, stamp.built_as) == ("ivf_sq8", "flat")
    assert len(store.search(QUERIES[:1], top_k=5)[0]) == 2
    store.close()
    opened.close()


def test_an_index_that_outgrew_its_training_is_built_anew(tmp_path: Path) -> None:
    opened = open_store("faiss ivf_sq8", tmp_path)
    opened.add("few", [f"few {number}" for number in range(100)])
    opened.store.flush()
    assert IndexStamp.read(tmp_path / "index.json").built_for == 100

    fill(opened)
    opened.store.flush()

    assert IndexStamp.read(tmp_path / "index.json").built_for == 100 + DOCUMENTS * PASSAGES
    assert recall(opened) >= 0.95
    opened.close()


def test_another_type_than_the_file_has_is_built(filled: Opened, kind: str) -> None:
    other = open_store("faiss sq8" if kind != "faiss sq8" else "faiss", filled.directory)

    assert recall(other) == 1.0
    other.store.flush()

    stamp = IndexStamp.read(filled.directory / "index.json")
    assert stamp.index_type == other.store.index_type
    other.close()


@pytest.mark.parametrize("name", ["hnsw", "hnsw_sq8", "ivf_sq8", "ivf_rabitq"])
def test_how_far_to_look_is_measured_when_it_is_built(
    name: str, content: Path, tmp_path: Path
) -> None:
    shutil.copytree(content, tmp_path, dirs_exist_ok=True)
    opened = open_store(f"faiss {name}", tmp_path)
    opened.store.flush()
    stamp = IndexStamp.read(tmp_path / "index.json")

    with opened.store.dense.snapshot():
        assert opened.store.dense._searched.base.effort == stamp.effort > 0
    assert stamp.effort in INDEX_TYPES[name].efforts(DOCUMENTS * PASSAGES)
    opened.close()


def test_a_row_in_an_index_twice_is_noticed(kind: str, tmp_path: Path) -> None:
    """FAISS takes ids that it has already, and would return the chunk twice."""
    opened = open_store(kind, tmp_path)
    opened.add("a", [f"passage {number}" for number in range(50)])
    opened.store.flush()
    path = tmp_path / "index.faiss"
    index = import_faiss().read_index(str(path))
    index.add_with_ids(opened.archive.read([3]), np.array([3]))

    with pytest.raises(UnusableIndexError, match="51 vectors of 50 different rows"):
        BuiltIndex(INDEX_TYPES[opened.store.index_type], index)
    opened.close()


def test_one_query_is_searched_by_one_thread(monkeypatch) -> None:
    """With several, a single query among flat vectors takes four times as long."""
    faiss = import_faiss()
    threads, searched = faiss.omp_get_max_threads(), []
    built = BuiltIndex(INDEX_TYPES["flat"], INDEX_TYPES["flat"].new(DIM, 200))
    built.add(np.arange(200), vectors_of([f"{number}" for number in range(200)]))
    search = built.index.search

    def watched(queries, count, *, params):
        searched.append((len(queries), faiss.omp_get_max_threads()))
        return search(queries, count, params=params)

    monkeypatch.setattr(built.index, "search", watched)
    built.contenders(QUERIES[:1], top_k=3, allowed=built.rows)
    built.contenders(QUERIES, top_k=3, allowed=built.rows)
    assert searched == [(1, 1), (len(QUERIES), threads)]
    assert faiss.omp_get_max_threads() == threads


def test_a_row_is_never_added_twice(kind: str, tmp_path: Path) -> None:
    opened = open_store(kind, tmp_path)
    opened.add("a", [f"passage {number}" for number in range(50)])
    index_type = INDEX_TYPES[opened.store.index_type]
    rows = RowSet.of(range(40))
    built = build_index(opened.archive, rows, index_type, Steps())

    for wanted in (RowSet.of(range(50)), RowSet.of(range(50)), RowSet.of(range(10, 50))):
        built = update_index(built, opened.archive, wanted, Steps())

    assert wanted - built.rows == RowSet.of(())
    assert len(built) == (50 if not built.kind.can_remove else 40)
    opened.close()


def test_an_unknown_type_is_named_with_those_there_are(opened: Opened) -> None:
    with pytest.raises(UsageError, match=r"'pq'; known: flat, sqfp16, sq8, hnsw"):
        FaissStore(opened.directory, opened.database, opened.archive, "pq")
    assert index_type_named("hnsw") is INDEX_TYPES["hnsw"]


def test_the_size_is_about_what_is_said(filled: Opened) -> None:
    count = DOCUMENTS * PASSAGES
    index_type = INDEX_TYPES[filled.store.index_type]
    size = (filled.directory / "index.faiss").stat().st_size
    centroids = list_count(count) * DIM * 4 if index_type.structure == "lists" else 0
    assert size == pytest.approx(count * index_type.vector_bytes(DIM) + centroids, rel=0.15)
    assert filled.store.dense.size_bytes() > size
