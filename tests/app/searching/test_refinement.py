"""What happens to a text step by step, with the default model and with tiny random ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app import resources
from app.searching.refinement import QueryStudy, RankLine, stable_since, study_pair, study_query
from app.searching.refinement_charts import (
    convergence_picture,
    ranking_picture,
    similarity_picture,
    time_picture,
    words_picture,
)
from app.services import Services
from indexer.collections.library import Library
from indexer.documents import embedding_text
from indexer.embedder import Embedder, load_baseline, soft_tokens
from indexer.errors import UsageError
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from indexer.searching.search import SearchRequest
from tests.app.conftest import DOCUMENTS

STEPS = 4
QUESTION = "how cold does the refrigerator have to be"


@pytest.fixture
def ready(
    filled_home: Path,
    shared_services: Callable[[], Services],
    minilm: Embedder,
    monkeypatch: pytest.MonkeyPatch,
) -> Services:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)
    return shared_services()


@pytest.fixture
def study(ready: Services) -> QueryStudy:
    return study_query(ready, "default", f" {QUESTION}\n", max_steps=STEPS)


def test_the_vectors_are_those_of_searches(study: QueryStudy, minilm: Embedder) -> None:
    refinement = study.refinement
    assert refinement.text == QUESTION
    assert refinement.steps == tuple(range(STEPS + 1))
    expected = minilm.embed_queries_at([QUESTION], range(STEPS + 1))[:, 0]
    np.testing.assert_allclose(refinement.vectors, expected, atol=1e-5)
    assert len(refinement.milliseconds) == STEPS + 1
    assert all(ms > 0 for ms in refinement.milliseconds)
    assert refinement.to_last()[-1] == pytest.approx(1.0, abs=1e-5)
    assert len(refinement.to_previous()) == STEPS


def test_soft_tokens_have_words_from_the_first_step_on(study: QueryStudy) -> None:
    words = study.refinement.words
    assert {word.step for word in words} == {1, 2, 3, 4}
    shares = [word.share for word in words if word.step == 1]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1.0001
    asked = set(QUESTION.split())
    assert all(word.is_in_text == (word.word.lower() in asked) for word in words)
    assert study.refinement.readability is not None


def test_ranks_are_those_of_a_search_by_meaning(ready: Services, study: QueryStudy) -> None:
    for place, steps in enumerate(study.refinement.steps):
        request = SearchRequest(QUESTION, top_k=50, mode="dense", steps=steps)
        hits = ready.search("default", request).hits
        found = {line.chunk_id: line.ranks[place] for line in study.lines}
        assert [found[hit.chunk.id] for hit in hits] == list(range(1, len(hits) + 1))
    assert [line.ranks[-1] for line in study.lines[:5]] == [1, 2, 3, 4, 5]
    followed = study.followed()
    assert followed[:5] == list(study.lines[:5])
    assert len({line.chunk_id for line in followed}) == len(followed)


def test_a_pair_is_compared_as_it_is_stored_and_refined_alike(
    ready: Services, study: QueryStudy, minilm: Embedder
) -> None:
    best = study.lines[0].chunk_id
    pair = study_pair(ready, study, chunk_id=best)
    with ready.collections.use("default") as opened:
        (hit,) = [
            hit
            for hit in ready.search(
                "default", SearchRequest(QUESTION, mode="dense", steps=STEPS)
            ).hits
            if hit.chunk.id == best
        ]
        assert opened.config.steps == study.document_steps
    assert pair.stored is not None
    assert pair.stored[-1] == pytest.approx(hit.score, abs=1e-4)
    assert len(pair.both) == len(pair.stored) == STEPS + 1
    with ready.collections.use("default") as opened:
        read = embedding_text(opened.store.get([best])[best].chunk)
    as_indexed = minilm.embed_documents_at([read], range(STEPS + 1))[:, 0]
    np.testing.assert_allclose(
        pair.passage.vectors, as_indexed, atol=0.01
    )  # bfloat16, other shapes
    own = study_pair(ready, study, text="Keep it below four degrees.")
    assert own.stored is None
    assert own.passage.text == "Keep it below four degrees."


def test_a_passage_that_is_gone_is_said(ready: Services, study: QueryStudy) -> None:
    with pytest.raises(UsageError, match="removed or changed"):
        study_pair(ready, study, chunk_id="no-such-chunk")


def test_every_picture_says_in_words_what_it_shows(ready: Services, study: QueryStudy) -> None:
    pair = study_pair(ready, study, chunk_id=study.lines[0].chunk_id)
    ranking, key = ranking_picture(study, None)
    assert len(key) == len(study.followed())
    assert key[0].startswith("A — ")
    assert f"1 at {STEPS} steps" in key[0]
    for chart, text in (
        words_picture(study.refinement),
        convergence_picture(study.refinement),
        similarity_picture(study, pair),
        time_picture(study.refinement),
        ranking,
    ):
        drawn = chart.to_json()
        assert '"title"' in drawn  # labelled axes
        assert "http" not in drawn.replace("https://vega.github.io/schema", "")
        assert len(text) > 40
    chosen = RankLine("far", "Far away", "", (40,) * (STEPS + 1))
    _, key = ranking_picture(study, chosen)
    assert key[-1].endswith(f"Far away: rank 40 at 0 steps, 40 at {STEPS} steps")


def test_when_places_stop_changing() -> None:
    def lines(*orders: str) -> list[RankLine]:
        names = sorted({name for order in orders for name in order})
        return [
            RankLine(name, name, "", tuple(order.find(name) + 1 or None for order in orders))
            for name in names
        ]

    steps = [0, 1, 2, 3]
    assert stable_since(lines("abc", "acb", "cab", "cab"), steps, 3) == 2
    assert stable_since(lines("abc", "abc", "abc", "abc"), steps, 3) == 0
    assert stable_since(lines("abc", "abc", "abc", "acb"), steps, 3) is None
    assert stable_since(lines("abc", "abc", "abc", "acb"), steps, 1) == 0
    assert stable_since(lines("abcd", "abce", "abec", "abec"), steps, 2) == 0


@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:Cannot find a tokenizer:UserWarning")
def test_a_random_causal_model_is_shown_and_said_to_be_unreadable(
    home: Path, tmp_path: Path, shared_services: Callable[[], Services]
) -> None:
    from indexer.embedder import load_embedder
    from tests.gircse_core import models

    folder = models.write_causal(tmp_path / "causal", models.CONFIGS["qwen2"])
    embedder = load_embedder(str(folder))
    with Library(home).create("tiny", model=str(folder), steps=1) as collection:
        index_paths(
            collection,
            [DOCUMENTS / "home/dripping-tap.md"],
            embedder=lambda: embedder,
            options=IndexOptions(),
        )
    study = study_query(shared_services(), "tiny", QUESTION, max_steps=3)
    assert study.refinement.steps == (1, 2, 3)  # a causal model has no step 0
    assert {word.step for word in study.refinement.words} == {1, 2, 3}
    assert study.refinement.readability is not None
    assert not study.refinement.readability.is_readable
    pair = study_pair(shared_services(), study, chunk_id=study.lines[0].chunk_id)
    assert pair.stored is not None
    assert pair.both[0] == pytest.approx(pair.stored[0], abs=1e-3)  # stored at one step
    for chart, _ in (words_picture(study.refinement), time_picture(study.refinement)):
        assert chart.to_json()


def test_a_model_that_says_no_words_is_refused(minilm: Embedder) -> None:
    baseline = load_baseline(minilm, "mean")
    with pytest.raises(TypeError, match="does not say what its soft tokens are near"):
        soft_tokens(baseline, QUESTION, max_steps=0, words=5)
