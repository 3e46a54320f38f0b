"""A search watched while it is refined, steered by budgets and stability, moved by feedback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from indexer.errors import UsageError
from indexer.searching.filters import Where
from indexer.searching.refining import STABLE_STEPS
from indexer.searching.results import PASSAGES_PER_DOCUMENT
from indexer.searching.search import Searcher, SearchRequest
from tests.indexer.fake_model import write_tokenizer
from tests.indexer.generation_making import QueryEmbedder as TextEmbedder
from tests.indexer.generation_making import make_collection, move_to_edition
from tests.indexer.searching.test_search import FINGERPRINT, PASSAGES, Info, QueryEmbedder, Refined
from tests.indexer.stores.content import Opened, open_store, vector_of


@dataclass
class Clock:
    """Stands still but for what is done on purpose."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class SlowEmbedder(QueryEmbedder):
    """Takes 10 ms of the clock for each step; from ``settles_at`` on the vector is the same."""

    clock: Clock = field(default_factory=Clock)
    settles_at: int = 100
    computed: list[int] = field(default_factory=list)

    def refine(self, text: str, *, max_steps: int) -> Iterator[Refined]:
        self.asked.append(text)
        for step in range(self.info.min_steps, max_steps + 1):
            self.clock.seconds += 0.010
            self.computed.append(step)
            yield Refined(step, vector_of(f"{text} {min(step, self.settles_at)}"), 0.010)


class Counting:
    """A store that counts what it is asked, and takes its time over dense searches."""

    def __init__(self, opened: Opened, clock: Clock, *, look_s: float = 0.0) -> None:
        self._store, self._clock, self._look_s = opened.store, clock, look_s
        self.dense = self.lexical = 0

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def __len__(self) -> int:
        return len(self._store)

    def search(self, *arguments, **named):
        self.dense += 1
        self._clock.seconds += self._look_s
        return self._store.search(*arguments, **named)

    def search_text(self, *arguments, **named):
        self.lexical += 1
        return self._store.search_text(*arguments, **named)


@pytest.fixture
def opened(tmp_path) -> Iterator[Opened]:
    opened = open_store("faiss", tmp_path)
    for number, passage in enumerate(PASSAGES):
        opened.add(f"{number}.md", [passage], media_type="markdown", title=f"Page {number}")
    for number in range(10):
        passages = [f"Filler {number} says {word}." for word in ("one", "two", "three")]
        opened.add(f"filler/{number}.txt", [*passages, "Four.", "Five."], media_type="text")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def embedder(clock: Clock) -> SlowEmbedder:
    return SlowEmbedder(Info(max_steps=64), clock=clock)


@pytest.fixture
def searcher(opened: Opened, embedder: SlowEmbedder, clock: Clock) -> Searcher:
    return Searcher(opened.store, lambda: embedder, FINGERPRINT, clock=clock)


def scores(result):
    return pytest.approx({hit.chunk.id: hit.score for hit in result.hits})


def ids(result) -> list[str]:
    return [hit.chunk.id for hit in result.hits]


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
@pytest.mark.parametrize("fusion", ["weighted", "rrf"])
def test_each_step_finds_what_a_search_of_so_many_steps_finds(
    searcher: Searcher, embedder: SlowEmbedder, mode, fusion
) -> None:
    request = SearchRequest("bread on a bridge", mode=mode, fusion=fusion, steps=6, top_k=7)

    watched = list(searcher.refine(request))

    assert len(embedder.asked) == 1  # one run of the model
    assert [result.steps for result in watched] == [1, 2, 3, 4, 5, 6]
    for result in watched:
        alone = searcher.search(replace(request, steps=result.steps))
        assert ids(result) == ids(alone)
        assert {hit.chunk.id: hit.score for hit in result.hits} == scores(alone)
        assert result.dense_weight == alone.dense_weight
        assert len(result.steps_ms) == result.steps
        assert alone.progress is None
    assert [result.progress.stopped for result in watched] == [None] * 5 + ["steps"]


def test_the_words_are_searched_once(opened: Opened, embedder: SlowEmbedder, clock: Clock) -> None:
    store = Counting(opened, clock)
    searcher = Searcher(store, lambda: embedder, FINGERPRINT, clock=clock)
    *_, last = searcher.refine(SearchRequest("bread on a bridge", steps=6))
    assert (store.lexical, store.dense, last.looks) == (1, 6, 6)


def test_ranks_are_compared_with_those_of_the_first_look(searcher: Searcher) -> None:
    request = SearchRequest("bread on a bridge", steps=4, top_k=100)
    first, *_, last = searcher.refine(request)
    before = {hit.chunk.id: hit.rank for hit in first.hits}
    assert {hit.first_rank for hit in first.hits} == {None}
    assert [hit.first_rank for hit in last.hits] == [before[hit.chunk.id] for hit in last.hits]
    assert any(hit.first_rank != hit.rank for hit in last.hits)


def test_nobody_computes_what_is_not_asked_for(searcher: Searcher, embedder: SlowEmbedder) -> None:
    with closing(searcher.refine(SearchRequest("bridge", steps=64))) as results:
        next(results)
        next(results)
    assert embedder.computed == [1, 2]


def test_pauses_count_for_nothing_but_the_budget(searcher: Searcher, clock: Clock) -> None:
    results = searcher.refine(SearchRequest("bridge", steps=3))
    timings = []
    for result in results:
        clock.seconds += 5.0
        timings.append((result.timings_ms["total"], result.timings_ms["embed"]))
    assert timings == [pytest.approx((taken, taken)) for taken in (10.0, 20.0, 30.0)]

    results = searcher.refine(SearchRequest("bridge", budget_ms=1000.0))
    next(results)
    clock.seconds += 5.0
    (last,) = results
    assert (last.steps, last.progress.stopped) == (2, "budget")


@pytest.mark.parametrize(
    ("budget_ms", "steps"), [(1.0, 1), (10.0, 1), (20.0, 2), (25.0, 2), (55.0, 5), (1e6, 20)]
)
def test_a_budget_buys_as_many_steps_as_fit(
    searcher: Searcher, embedder: SlowEmbedder, budget_ms: float, steps: int
) -> None:
    result = searcher.search(SearchRequest("bridge", budget_ms=budget_ms))
    assert result.steps == steps
    assert result.progress.stopped == ("steps" if steps == 20 else "budget")
    assert embedder.computed == list(range(1, steps + 1))
    if budget_ms >= 10.0:
        assert result.timings_ms["total"] <= budget_ms


@pytest.mark.parametrize(("look_s", "steps"), [(0.050, 9), (0.015, 12), (0.2, 1)])
def test_slow_looks_leave_time_for_steps_and_are_within_the_budget(
    opened: Opened, embedder: SlowEmbedder, clock: Clock, look_s: float, steps: int
) -> None:
    store = Counting(opened, clock, look_s=look_s)
    searcher = Searcher(store, lambda: embedder, FINGERPRINT, clock=clock)
    budget_ms = 350.0
    result = searcher.search(SearchRequest("bridge", mode="dense", budget_ms=budget_ms))
    assert result.timings_ms["total"] <= budget_ms
    assert result.steps >= steps
    assert result.looks < result.steps or look_s < 0.02 or result.steps == 1


def test_the_budget_and_the_most_steps_hold_together(searcher: Searcher) -> None:
    assert searcher.search(SearchRequest("bridge", budget_ms=1e6, steps=3)).steps == 3
    assert searcher.search(SearchRequest("bridge", until_stable=True, steps=2)).steps == 2
    with pytest.raises(UsageError, match="65 steps asked for"):
        searcher.search(SearchRequest("bridge", budget_ms=1.0, steps=65))


@pytest.mark.parametrize("settles_at", [1, 4])
def test_it_stops_when_the_vector_does_not_move_any_more(
    searcher: Searcher, embedder: SlowEmbedder, settles_at: int
) -> None:
    embedder.settles_at = settles_at
    result = searcher.search(SearchRequest("bridge", mode="dense", until_stable=True))
    assert (result.steps, result.progress.stopped) == (settles_at + 1, "converged")
    assert result.progress.unchanged_since == settles_at


def test_a_vector_that_rests_is_noticed_between_slow_looks(
    opened: Opened, embedder: SlowEmbedder, clock: Clock
) -> None:
    embedder.settles_at = 6
    searcher = Searcher(
        Counting(opened, clock, look_s=0.5), lambda: embedder, FINGERPRINT, clock=clock
    )
    result = searcher.search(SearchRequest("bridge", mode="dense", until_stable=True))
    assert (result.steps, result.progress.stopped) == (7, "converged")
    assert result.looks == 3  # the first two, and the last one


def test_it_stops_when_the_first_hits_have_been_the_same_for_some_steps(tmp_path, clock) -> None:
    opened = open_store("faiss", tmp_path)
    for number in range(3):  # which are all there is, in an order that the words alone decide
        opened.add(f"{number}.md", ["bridge " * (number + 1)])
    embedder = SlowEmbedder(Info(max_steps=64), clock=clock)
    searcher = Searcher(opened.store, lambda: embedder, FINGERPRINT, clock=clock)
    request = SearchRequest("bridge", until_stable=True, dense_weight=0.0)
    result = searcher.search(request)
    assert (result.steps, result.progress.stopped) == (1 + STABLE_STEPS, "stable")
    assert (result.progress.unchanged_since, result.progress.top) == (1, 3)
    opened.close()


def test_there_is_one_result_where_nothing_is_refined(searcher: Searcher) -> None:
    lexical = SearchRequest("bridge", mode="lexical", budget_ms=5.0)
    (only,) = searcher.refine(lexical)
    assert (only.progress, only.steps) == (None, None)
    assert ids(only) == ids(searcher.search(lexical))


def test_phrases_have_to_occur_and_excluded_words_must_not(searcher: Searcher) -> None:
    for mode in ("hybrid", "lexical", "dense"):

        def titles(text: str, mode=mode) -> set[str]:
            request = SearchRequest(text, mode=mode, top_k=100)
            return {hit.document.title for hit in searcher.search(request).hits}

        assert titles('"the stone bridge"') == {"Page 0"}
        assert titles('"bridge stone"') == set()
        assert titles('"bridges" bread') == {"Page 0", "Page 1"}  # by stems
        assert titles('"bridge" -rope') == {"Page 0"}
        assert titles('"bridge" -"of rope"') == {"Page 0"}
        assert titles('"bridge" "river"') == {"Page 0"}
        assert not titles("filler bread -filler -four -five") & {"filler/1.txt"}


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
def test_exclusion_looks_deeper_until_the_page_is_full(searcher: Searcher, mode) -> None:
    request = SearchRequest("anything -filler -bread", mode=mode, top_k=23, candidates=5)
    result = searcher.search(request)
    assert len(result.hits) == 23  # three pages, and two passages each of ten others
    assert [hit.rank for hit in result.hits] == list(range(1, 24))


def test_plain_text_has_no_syntax(searcher: Searcher, embedder: SlowEmbedder) -> None:
    text = 'bread "no such phrase" -bread'
    assert searcher.search(SearchRequest(text)).hits == ()
    assert searcher.search(SearchRequest(text, is_plain=True)).hits
    assert embedder.asked == ["bread no such phrase", text]


def test_more_like_a_passage_asks_no_model(opened: Opened) -> None:
    (chunk, *_) = opened.store.chunks(opened.store.documents(where=Where(path_glob="*/0.md"))[0].id)
    searcher = Searcher(opened.store, None, FINGERPRINT)
    request = SearchRequest("", mode="dense", like=(chunk.id,), top_k=5)
    result = searcher.search(request)
    vector = opened.store.vectors([chunk.id])[chunk.id]
    (closest,) = opened.store.search(vector[None], top_k=6)
    assert closest[0].chunk_id == chunk.id
    assert [hit.chunk.id for hit in result.hits] == [one.chunk_id for one in closest[1:]]
    assert result.steps is None
    (watched,) = searcher.refine(request)
    assert ids(watched) == ids(result)
    with pytest.raises(UsageError, match="not in the collection any more"):
        searcher.search(replace(request, like=("gone",)))


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
def test_feedback_moves_the_ranking(searcher: Searcher, opened: Opened, mode) -> None:
    request = SearchRequest("anything", mode=mode, top_k=60, steps=2)
    before = searcher.search(request).hits
    liked, disliked = before[20], before[0]
    after = searcher.search(
        replace(request, like=(liked.chunk.id, "gone"), unlike=(disliked.chunk.id,))
    ).hits
    ranks = {hit.chunk.id: hit.rank for hit in after}
    assert ranks[liked.chunk.id] == 1
    assert disliked.chunk.id not in ranks
    # The cosine is that of the moved vector.
    query = vector_of("anything 2")
    vectors = opened.store.vectors([liked.chunk.id, disliked.chunk.id])
    target = query + 0.75 * vectors[liked.chunk.id] - 0.25 * vectors[disliked.chunk.id]
    target /= np.linalg.norm(target)
    assert after[0].dense_score == pytest.approx(float(target @ vectors[liked.chunk.id]), abs=1e-5)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_hits_of_a_document_come_together(searcher: Searcher, mode) -> None:
    request = SearchRequest("filler four five bread", mode=mode, top_k=100, steps=1)
    single = searcher.search(request).hits
    grouped = searcher.search(replace(request, grouping="document", top_k=4)).hits
    order = list(dict.fromkeys(hit.document.id for hit in single))[:4]
    assert list(dict.fromkeys(hit.document.id for hit in grouped)) == order
    for document in order:
        own = [hit.chunk.id for hit in grouped if hit.document.id == document]
        best = [hit.chunk.id for hit in single if hit.document.id == document]
        assert own == best[:PASSAGES_PER_DOCUMENT]
    ranks = {hit.chunk.id: hit.rank for hit in single}
    assert all(hit.rank == ranks[hit.chunk.id] for hit in grouped)
    pages = [
        searcher.search(replace(request, grouping="document", top_k=1, offset=offset)).hits
        for offset in range(4)
    ]
    if mode != "hybrid":
        assert tuple(hit for page in pages for hit in page) == grouped


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": "", "like": ("a",)}, "no words for mode 'hybrid'; choose dense"),
        ({"text": "", "unlike": ("a",), "mode": "dense"}, "the query is empty"),
        ({"mode": "lexical", "like": ("a",)}, "more or less of a passage"),
        ({"budget_ms": 0.0}, "the budget is 0 ms; it must be above 0"),
        ({"budget_ms": float("nan")}, "the budget is nan ms"),
        ({"grouping": "page"}, "no grouping 'page'; choose passage or document"),
        ({"text": "-x"}, "only says what to leave out"),
    ],
)
def test_what_makes_no_sense_is_refused(values, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SearchRequest(**{"text": "query", **values})


def test_all_steps_are_answered_by_one_generation(tmp_path) -> None:
    write_tokenizer(tmp_path)
    with make_collection(tmp_path / "home") as collection:
        embedder = TextEmbedder(collection.model_info())
        searcher = collection.searcher(lambda: embedder)
        request = SearchRequest("Document 7 says 0", top_k=8, steps=5)
        results = searcher.refine(request)
        seen = [next(results)]
        # Another thread, as a rebuild is: this one works in the generation of its search.
        swapping = threading.Thread(target=move_to_edition, args=(collection, 2))
        swapping.start()
        swapping.join()
        seen += results
        assert [result.steps for result in seen] == [0, 1, 2, 3, 4, 5]
        assert {result.generation for result in seen} == {1}
        for result in seen:
            assert {hit.chunk.text[-10:] for hit in result.hits} == {"edition 0."}
        after = searcher.search(request)
        assert after.generation == 2
        assert {hit.chunk.text[-10:] for hit in after.hits} == {"edition 2."}


def test_a_generator_that_is_left_early_gives_its_generation_back(tmp_path) -> None:
    write_tokenizer(tmp_path)
    with make_collection(tmp_path / "home") as collection:
        embedder = TextEmbedder(collection.model_info())
        with closing(collection.searcher(lambda: embedder).refine(SearchRequest("x"))) as results:
            next(results)
        move_to_edition(collection, 2)
        with collection.using() as live:
            assert live.record.number == 2
