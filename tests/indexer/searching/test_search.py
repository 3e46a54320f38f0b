"""One query through embedding, both legs, fusion and fetching."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from indexer.collections.fingerprint import Fingerprint
from indexer.collections.search_defaults import SearchDefaults
from indexer.errors import UsageError
from indexer.searching.filters import Where
from indexer.searching.fusion import automatic_weight, reciprocal_ranks, weighted
from indexer.searching.search import Searcher, SearchRequest
from tests.indexer.stores.content import DIM, Opened, open_store, vector_of

FINGERPRINT = Fingerprint({"weights": "0123"}, steps=2, chunking={"max_tokens": 200})
PASSAGES = [
    "The stone bridge crosses the river.",
    "A bridge of rope hangs over the gorge.",
    "Bread rises in a warm kitchen.",
    "The oven bakes bread and cakes.",
    "Stars are born in clouds of gas.",
]


@dataclass(frozen=True)
class Info:
    name: str = "fake"
    dim: int = DIM
    min_steps: int = 1
    max_steps: int = 6
    default_steps: int = 2
    tokenizer_file: Path = Path("tokenizer.json")

    def fingerprint(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Refined:
    step: int
    vector: np.ndarray
    seconds: float


@dataclass
class QueryEmbedder:
    """Gives every step of a query a vector of its own."""

    info: Info = field(default_factory=Info)
    asked: list[str] = field(default_factory=list)

    def refine(self, text: str, *, max_steps: int) -> Iterator[Refined]:
        self.asked.append(text)
        for step in range(self.info.min_steps, max_steps + 1):
            yield Refined(step, vector_of(f"{text} {step}"), seconds=0.001 * step)

    def embed_queries(self, texts: Sequence[str], *, steps: int | None = None) -> np.ndarray:
        raise NotImplementedError

    def embed_documents(self, texts: Sequence[str], *, steps: int | None = None) -> np.ndarray:
        raise NotImplementedError


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = open_store("faiss", tmp_path)
    for number, passage in enumerate(PASSAGES):
        opened.add(f"{number}.md", [passage], media_type="markdown", title=f"Page {number}")
    for number in range(40):
        opened.add(f"filler/{number}.txt", [f"Filler {number}."], media_type="text")
    yield opened
    opened.close()


@pytest.fixture
def embedder() -> QueryEmbedder:
    return QueryEmbedder()


@pytest.fixture
def searcher(opened: Opened, embedder: QueryEmbedder) -> Searcher:
    return Searcher(opened.store, lambda: embedder, FINGERPRINT)


def legs(opened: Opened, text: str, steps: int = 2) -> tuple[dict[str, float], dict[str, float]]:
    """Return the true scores of every chunk in both legs."""
    ids = [one.chunk.id for stored, _ in opened.store.scroll() for one in stored]
    return (
        opened.store.vector_scores(vector_of(f"{text} {steps}"), ids),
        opened.store.text_scores(text, ids),
    )


def test_dense_search_ranks_by_cosine(opened: Opened, searcher: Searcher) -> None:
    result = searcher.search(SearchRequest("a bridge", mode="dense", top_k=4))

    dense, _ = legs(opened, "a bridge")
    expected = sorted(dense, key=lambda one: -dense[one])[:4]
    assert [hit.chunk.id for hit in result.hits] == expected
    assert [hit.score for hit in result.hits] == [dense[one] for one in expected]
    assert [(hit.rank, hit.dense_rank) for hit in result.hits] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert {hit.lexical_score for hit in result.hits} == {None}
    assert {hit.lexical_rank for hit in result.hits} == {None}
    assert result.timings_ms.keys() == {"load", "embed", "dense", "fetch", "total"}


def test_lexical_search_ranks_by_words_and_asks_no_model(opened: Opened) -> None:
    def load() -> QueryEmbedder:
        raise AssertionError("the model was asked for")

    for embedder in (load, None):
        result = Searcher(opened.store, embedder, FINGERPRINT).search(
            SearchRequest("bridges over the river", mode="lexical", steps=99)
        )
        assert [hit.document.title for hit in result.hits] == ["Page 0", "Page 1"]
        first = result.hits[0]
        assert first.score == first.lexical_score
        assert (first.lexical_rank, first.dense_score, first.dense_rank) == (1, None, None)
        passage = first.chunk.text
        assert [passage[start:end] for start, end in first.highlights] == ["bridge", "river"]
        assert (result.steps, result.steps_ms) == (None, ())
        assert result.timings_ms.keys() == {"lexical", "fetch", "total"}
        assert result.total_chunks == 45
        assert result.fingerprint == FINGERPRINT.as_dict()


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.65, 1.0])
@pytest.mark.parametrize("candidates", [3, 100])
def test_hybrid_search_fuses_true_scores(
    opened: Opened, searcher: Searcher, candidates: int, weight: float
) -> None:
    text = "bread on a bridge"
    request = SearchRequest(text, top_k=3, candidates=candidates, dense_weight=weight)

    result = searcher.search(request)

    dense, lexical = legs(opened, text)
    pool = {
        *sorted(dense, key=lambda one: -dense[one])[:candidates],
        *sorted((one for one in lexical if lexical[one]), key=lambda one: -lexical[one])[
            :candidates
        ],
    }
    expected = weighted(
        {one: dense[one] for one in pool},
        {one: lexical[one] for one in pool},
        dense_weight=weight,
    )[:3]
    assert [(hit.chunk.id, hit.score) for hit in result.hits] == [
        (one.chunk_id, pytest.approx(one.score)) for one in expected
    ]
    for hit in result.hits:
        assert hit.dense_score == pytest.approx(dense[hit.chunk.id])
        assert hit.lexical_score == pytest.approx(lexical[hit.chunk.id])
        assert (hit.lexical_rank is None) == (
            lexical[hit.chunk.id] == 0.0
            or sorted(lexical.values(), reverse=True).index(lexical[hit.chunk.id]) >= candidates
        )
    assert {"dense", "lexical", "fuse"} <= result.timings_ms.keys()


def test_reciprocal_ranks_are_an_option(opened: Opened, searcher: Searcher) -> None:
    text = "bread on a bridge"
    result = searcher.search(SearchRequest(text, fusion="rrf", top_k=5))

    dense, lexical = legs(opened, text)
    expected = reciprocal_ranks(
        sorted(dense, key=lambda one: (-dense[one], one)),
        sorted((one for one in lexical if lexical[one]), key=lambda one: (-lexical[one], one)),
    )[:5]
    assert [hit.chunk.id for hit in result.hits] == [one.chunk_id for one in expected]
    assert [hit.score for hit in result.hits] == [one.score for one in expected]


@pytest.mark.parametrize("text", ["zebra", "!!!"])
def test_where_no_word_matches_hybrid_is_dense(searcher: Searcher, text: str) -> None:
    hybrid = searcher.search(SearchRequest(text, top_k=20))
    dense = searcher.search(SearchRequest(text, top_k=20, mode="dense"))

    assert [hit.chunk.id for hit in hybrid.hits] == [hit.chunk.id for hit in dense.hits]
    assert {hit.lexical_score for hit in hybrid.hits} == {0.0}
    assert {hit.lexical_rank for hit in hybrid.hits} == {None}


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_pages_join_without_gap_or_overlap(searcher: Searcher, mode) -> None:
    request = SearchRequest("filler bridge", mode=mode, top_k=40)
    whole = searcher.search(request).hits

    pages = [
        hit
        for offset in range(0, 40, 7)
        for hit in searcher.search(replace(request, top_k=min(7, 40 - offset), offset=offset)).hits
    ]

    assert tuple(pages) == whole
    assert [hit.rank for hit in whole] == list(range(1, len(whole) + 1))
    for offset in (1000, 10**30):
        assert searcher.search(replace(request, offset=offset)).hits == ()


def test_filters_hold_in_every_mode(searcher: Searcher) -> None:
    where = Where(media_types=("markdown",))
    for mode in ("dense", "lexical", "hybrid"):
        result = searcher.search(
            SearchRequest("filler bread bridge", mode=mode, where=where, top_k=45)
        )
        assert {hit.document.media_type for hit in result.hits} == {"markdown"}
        assert len(result.hits) == (4 if mode == "lexical" else 5)
    nothing = searcher.search(SearchRequest("bread", where=Where(media_types=("pdf",))))
    assert nothing.hits == ()
    assert nothing.total_chunks == 45


def test_steps_choose_the_vector_and_are_timed(opened: Opened, searcher: Searcher) -> None:
    by_default = searcher.search(SearchRequest("query", mode="dense"))
    refined = searcher.search(SearchRequest("query", mode="dense", steps=5))

    assert (by_default.steps, refined.steps) == (2, 5)
    assert by_default.steps_ms == pytest.approx((1.0, 2.0))
    assert refined.steps_ms == pytest.approx((1.0, 2.0, 3.0, 4.0, 5.0))
    dense, _ = legs(opened, "query", steps=5)
    assert refined.hits[0].score == max(dense.values())


@pytest.mark.parametrize("steps", [0, 7, -1])
def test_steps_that_the_model_does_not_define_are_refused(searcher: Searcher, steps: int) -> None:
    with pytest.raises(UsageError, match=rf"{steps} steps asked for; fake defines from 1 to 6"):
        searcher.search(SearchRequest("query", steps=steps))


def test_a_model_of_one_step_count_says_so(opened: Opened) -> None:
    embedder = QueryEmbedder(Info(min_steps=0, max_steps=0, default_steps=0))
    searcher = Searcher(opened.store, lambda: embedder, FINGERPRINT)
    assert searcher.search(SearchRequest("query")).steps == 0
    with pytest.raises(UsageError, match="fake defines 0 steps only"):
        searcher.search(SearchRequest("query", steps=1))


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_without_a_model_only_words_are_searched(opened: Opened, mode) -> None:
    with pytest.raises(UsageError, match="needs a model"):
        Searcher(opened.store, None, FINGERPRINT).search(SearchRequest("query", mode=mode))


@pytest.mark.parametrize(
    ("asked", "own", "used"),
    [
        (None, None, "auto"),
        (None, "auto", "auto"),
        (None, 0.2, 0.2),
        ("auto", 0.2, "auto"),
        (0.9, 0.2, 0.9),
        (0.0, 0.2, 0.0),
    ],
)
def test_the_request_wins_over_the_collection_and_that_over_the_automatic_weight(
    opened: Opened, embedder: QueryEmbedder, asked, own, used
) -> None:
    searcher = Searcher(
        opened.store, lambda: embedder, FINGERPRINT, defaults=SearchDefaults(dense_weight=own)
    )

    result = searcher.search(SearchRequest("a bridge", top_k=3, candidates=5, dense_weight=asked))

    dense, lexical = legs(opened, "a bridge")
    first = sorted(dense, key=lambda one: (-dense[one], one))[:5]
    second = sorted((one for one in lexical if lexical[one]), key=lambda one: -lexical[one])[:5]
    stored = opened.store.get([*first, *second])
    texts = [stored[one].chunk.context + stored[one].chunk.text for one in [*first, *second]]
    automatic = automatic_weight([len(text.encode()) for text in texts])
    assert result.dense_weight == pytest.approx(automatic if used == "auto" else used)
    expected = weighted(
        {one: dense[one] for one in {*first, *second}},
        {one: lexical[one] for one in {*first, *second}},
        dense_weight=result.dense_weight,
    )[:3]
    assert [hit.chunk.id for hit in result.hits] == [one.chunk_id for one in expected]
    assert [hit.score for hit in result.hits] == pytest.approx([one.score for one in expected])


@pytest.mark.parametrize(
    "request_values", [{"mode": "dense"}, {"mode": "lexical"}, {"fusion": "rrf"}]
)
def test_no_weight_is_named_where_none_was_used(searcher: Searcher, request_values) -> None:
    assert searcher.search(SearchRequest("a bridge", **request_values)).dense_weight is None


@pytest.mark.parametrize(("asked", "own", "used"), [(None, None, 2), (None, 5, 5), (1, 5, 1)])
def test_the_collections_own_steps_are_for_requests_that_name_none(
    opened: Opened, embedder: QueryEmbedder, asked, own, used
) -> None:
    searcher = Searcher(
        opened.store, lambda: embedder, FINGERPRINT, defaults=SearchDefaults(steps=own)
    )
    assert searcher.search(SearchRequest("a bridge", steps=asked)).steps == used


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"text": ""}, "the query is empty"),
        ({"text": " \n\t"}, "the query is empty"),
        ({"top_k": 0}, "top_k is 0; it must be at least 1"),
        ({"offset": -1}, "offset is -1"),
        ({"candidates": 0}, "candidates is 0"),
        ({"mode": "fuzzy"}, "no mode 'fuzzy'; choose one of hybrid, dense, lexical"),
        ({"fusion": "sum"}, "no fusion 'sum'; choose one of weighted, rrf"),
        ({"dense_weight": 1.5}, "dense_weight is 1.5"),
        ({"dense_weight": float("nan")}, "dense_weight is nan"),
        ({"dense_weight": "most"}, "dense_weight is most; it must be from 0 to 1, or 'auto'"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(values, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SearchRequest(**{"text": "query", **values})


def test_a_query_with_half_a_character_reaches_the_model_whole(searcher, embedder) -> None:
    searcher.search(SearchRequest("bridge \udce9"))

    assert embedder.asked == ["bridge ?"]


def test_a_document_replaced_while_it_is_found_is_found_anew(
    opened: Opened, embedder: QueryEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, calls = opened.store.get, []

    def get_after_a_change(chunk_ids: Sequence[str]):
        calls.append(chunk_ids)
        if len(calls) == 1:
            opened.add("0.md", ["The new bridge is of steel."], title="Page 0")
        return get(chunk_ids)

    monkeypatch.setattr(opened.store, "get", get_after_a_change)
    searcher = Searcher(opened.store, lambda: embedder, FINGERPRINT)

    result = searcher.search(SearchRequest("bridge", mode="lexical"))

    assert sorted(hit.chunk.text for hit in result.hits) == [
        PASSAGES[1],
        "The new bridge is of steel.",
    ]
    assert [hit.rank for hit in result.hits] == [1, 2]


def test_lexical_search_imports_nothing_heavy(opened: Opened) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from indexer.storage.database import Database\n"
        "from indexer.storage.archive import VectorArchive\n"
        "from indexer.stores.faiss import FaissStore\n"
        "from indexer.collections.fingerprint import Fingerprint\n"
        "from indexer.searching.search import Searcher, SearchRequest\n"
        "folder = Path(sys.argv[1]); database = Database(folder / 'collection.db')\n"
        "store = FaissStore(folder, database, VectorArchive(folder, database))\n"
        "searcher = Searcher(store, None, Fingerprint({}, 0, {}))\n"
        "hits = searcher.search(SearchRequest('bridge', mode='lexical')).hits\n"
        "store.close(); database.close()\n"
        "print(len(hits), sorted({'numpy', 'faiss', 'torch', 'filelock'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(opened.directory)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2 []\n"
