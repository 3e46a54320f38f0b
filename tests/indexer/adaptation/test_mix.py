"""How many pairs of each kind."""

from __future__ import annotations

from collections import Counter

import pytest

from indexer.adaptation.mix import PairMix, draw_pairs
from indexer.adaptation.pairs import Pair
from indexer.errors import UsageError
from tests.indexer.adaptation.content import passage

NAMES = ["stone", "wood", "rope", "steel", "iron", "brick", "glass", "clay"]
CORPUS = [
    passage(
        f"The {name} bridge number {n} crosses the wide river here. People of {name} town {n} "
        f"paid for it. It opened in the spring of the year {n} with music.",
        chunk=f"c{n}",
        document=f"d{n // 2}",
        title=f"About {name} {n // 2}",
    )
    for n, name in enumerate(NAMES * 4)
]


def test_kinds_are_drawn_by_their_shares():
    mix = PairMix(pairs=60, shares=(("sentence", 2.0), ("title", 1.0)))

    drawn = draw_pairs(CORPUS, mix)

    assert Counter(pair.kind for pair in drawn) == {"sentence": 40, "title": 20}
    assert len({(pair.query, pair.passage) for pair in drawn}) == 60
    assert draw_pairs(CORPUS, mix) == drawn
    assert draw_pairs(CORPUS, PairMix(pairs=60, shares=mix.shares, seed=1)) != drawn


def test_other_kinds_make_up_for_one_that_is_rare():
    mix = PairMix(pairs=80, shares=(("sentence", 1.0), ("consecutive", 1.0)))

    drawn = draw_pairs(CORPUS, mix)

    assert Counter(pair.kind for pair in drawn) == {"sentence": 64, "consecutive": 16}


def test_written_queries_take_half():
    written = [Pair("written", f"query {n}", one.full_text, one) for n, one in enumerate(CORPUS)]

    drawn = draw_pairs(CORPUS, PairMix(pairs=40, shares=(("sentence", 1.0),)), written=written)

    assert Counter(pair.kind for pair in drawn) == {"sentence": 20, "written": 20}


def test_a_sentence_of_several_passages_asks_for_none():
    shared = "This notice stands below every single page."
    repeated = [passage(f"{shared} Page {n} has it.", chunk=f"c{n}") for n in range(3)]

    assert draw_pairs(repeated, PairMix(shares=(("sentence", 1.0),))) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pairs": 0}, "pairs is 0; it must be at least 1"),
        ({"negatives": -1}, "negatives is -1; it must be at least 0"),
        ({"shares": (("title", -1.0), ("lead", 2.0))}, "none may be negative"),
        ({"shares": (("title", 0.0),)}, "one must be above 0"),
    ],
)
def test_impossible_mixes_are_refused(values: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        PairMix(**values)
