"""Exact search, feedback, MaxSim, and passages that become documents again."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.evaluation import dense
from indexer.evaluation.beir import BeirDocument
from indexer.evaluation.dense import nearest
from indexer.evaluation.feedback import with_feedback
from indexer.evaluation.lexical import lexical_index
from indexer.evaluation.maxsim import nearest_by_sentence, split_sentences
from indexer.evaluation.passages import cut_passages, whole_passages
from indexer.indexing.chunking import Chunker, ChunkingConfig

DOCUMENTS = [
    BeirDocument("d1", "Bread", "The loaf goes stale in the fridge. Toast it."),
    BeirDocument("d2", "", "A bridge of steel. A road across the river."),
    BeirDocument("d3", "Only a title", ""),
]


def _unit(*rows):
    values = np.array(rows, dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _random(count, dim=8, seed=0):
    return _unit(*np.random.default_rng(seed).standard_normal((count, dim)))


@pytest.mark.parametrize("top_k", [1, 5, 40, 100])
def test_blocks_give_what_one_product_gives(top_k, monkeypatch):
    queries, passages = _random(7), _random(40, seed=1)
    expected = np.argsort(-(queries @ passages.T), axis=1)[:, :top_k]
    monkeypatch.setattr(dense, "_QUERIES", 3)
    monkeypatch.setattr(dense, "_PASSAGES", 16)
    places, scores = nearest(queries, passages, top_k=top_k)
    assert np.array_equal(places, expected)
    assert np.allclose(scores, np.take_along_axis(queries @ passages.T, expected, axis=1))


def test_equal_scores_keep_the_order_of_the_passages():
    passages = _unit([1, 0], [0, 1], [1, 0], [1, 0])
    places, _ = nearest(_unit([1, 0]), passages, top_k=4)
    assert places.tolist() == [[0, 2, 3, 1]]


def test_feedback_moves_towards_the_three_closest():
    passages = _unit([1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0])
    query = _unit([3, 2, 1])
    moved = with_feedback(query, passages)
    expected = query[0] + 0.3 * np.array([1, 1, 1]) / 3
    assert np.allclose(moved, expected / np.linalg.norm(expected))
    assert moved.dtype == np.float32


def test_feedback_with_fewer_passages_than_it_asks_for():
    assert np.allclose(with_feedback(_unit([1, 0]), _unit([0, 1])), _unit([1, 0.3]))


def test_sentences_are_cut_and_kept_once():
    found = split_sentences(
        ["One here. Two!  Three?", "One here.", "no end\nnew line", "古い。新しい"]
    )
    assert found.texts == ("One here.", "Two!", "Three?", "no end", "new line", "古い。", "新しい")
    assert found.members.tolist() == [0, 1, 2, 0, 3, 4, 5, 6]
    assert found.starts.tolist() == [0, 3, 4, 6]


def test_a_passage_is_as_close_as_its_closest_sentence():
    sentences = split_sentences(["a. b.", "c.", "a. c."])
    vectors = _unit([1, 0], [0, 1], [1, 1])  # a, b, c
    places = nearest_by_sentence(_unit([0, 1], [1, 0]), sentences, vectors, top_k=3)
    assert places.tolist() == [[0, 1, 2], [0, 2, 1]]
    assert nearest_by_sentence(_unit([0, 1]), sentences, vectors, top_k=1).tolist() == [[0]]


def test_whole_documents_are_read_with_their_titles():
    passages = whole_passages(DOCUMENTS)
    assert passages.texts[0] == "Bread The loaf goes stale in the fridge. Toast it."
    assert passages.texts[2] == "Only a title"
    assert passages.chunk_ids() == ["d1", "d2", "d3"]
    assert passages.rank_documents([2, 0]) == ["d3", "d1"]


def test_cut_documents_count_by_their_best_passage(embedder):
    chunker = Chunker(
        embedder.info.tokenizer_file,
        ChunkingConfig(max_tokens=16, overlap_tokens=0, context_tokens=8),
    )
    long = BeirDocument("long", "Numbers", " ".join(f"number {n}." for n in range(40)))
    passages = cut_passages([long, *DOCUMENTS], chunker)
    of_long = [chunk for chunk in passages.chunks if chunk.document_id == "long"]
    assert len(of_long) > 3
    assert passages.texts[0].startswith("Numbers\nnumber 0.")
    assert passages.depth == 100 * len(of_long)
    assert passages.rank_documents([1, len(of_long), 0]) == ["long", "d1"]


def test_words_are_searched_as_a_collection_searches_them():
    with lexical_index(whole_passages(DOCUMENTS)) as index:
        assert [hit.chunk_id for hit in index.search("staling loaves? bread!", top_k=5)] == ["d1"]
        assert [hit.chunk_id for hit in index.search("titles", top_k=5)] == ["d3"]
        assert index.search("nothing of it", top_k=5) == []
        scores = index.scores("steel", ["d1", "d2"])
        assert scores["d1"] == 0.0 < scores["d2"]
