from __future__ import annotations

import numpy as np
import pytest

from indexer.searching.rocchio import DISLIKED_WEIGHT, LIKED_WEIGHT, moved
from tests.indexer.stores.content import vector_of, vectors_of


def test_a_query_moves_towards_what_is_liked_and_away_from_the_rest() -> None:
    query, liked, disliked = vector_of("q"), vectors_of(["a", "b"]), vectors_of(["c"])

    after = moved(query, liked, disliked)

    expected = query + LIKED_WEIGHT * liked.mean(axis=0) - DISLIKED_WEIGHT * disliked[0]
    assert after == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert after.dtype == np.float32
    assert (liked @ after > liked @ query).all()
    assert disliked[0] @ after < disliked[0] @ query


def test_many_queries_move_each_by_its_own_passages() -> None:
    queries = vectors_of(["p", "q"])
    liked = np.stack([vectors_of(["a", "b"]), vectors_of(["c", "d"])])

    together = moved(queries, liked, liked_weight=0.3)

    for number in range(2):
        alone = moved(queries[number], liked[number], liked_weight=0.3)
        assert together[number] == pytest.approx(alone, abs=1e-6)


def test_passages_alone_make_a_query() -> None:
    assert moved(None, vectors_of(["a"])) == pytest.approx(vector_of("a"), abs=1e-6)
    with pytest.raises(ValueError, match="neither a query nor a passage"):
        moved(None, None, vectors_of(["a"]))
