from __future__ import annotations

import gzip
import json

import pytest

from gircse_core.errors import TrainingInputError
from gircse_core.training.mining import MiningConfig, mine
from gircse_core.training.pairs import read_pairs
from tests.gircse_core.training.data import write_pairs

PAIRS = [
    {"query": "how to repair a bicycle", "pos": "Turn the bicycle over and mend its chain."},
    {"query": "how to repair a bicycle", "pos": "A bicycle is mended with patience and oil."},
    {"query": "how to mend a bicycle chain", "pos": "turn the bicycle over and mend its chain!"},
    {"query": "what do whales eat", "pos": "Whales eat krill, which they filter from the sea."},
    {"query": "why do cats purr", "pos": "Cats purr when they are content, or in pain."},
    {"query": "who built the first velocipede", "pos": "It was built in 1817, long before chains."},
]


def _mined(files):
    return [json.loads(line) for file in files for line in gzip.open(file, "rt")]


def test_negatives_are_hard_but_no_answers(tmp_path):
    file = write_pairs(tmp_path / "pairs.jsonl", PAIRS, source="bikes#tag")
    seen = []
    files = mine(
        MiningConfig(negatives=2, margin=0.9, steps=0),
        [file],
        tmp_path / "mined",
        on_progress=seen.append,
    )
    assert [path.name for path in files] == ["bikes.jsonl.gz"]
    lines = _mined(files)
    assert [line["query"] for line in lines] == [pair["query"] for pair in PAIRS]
    assert {line["source"] for line in lines} == {"bikes#tag"}
    repair = lines[0]
    answers = {PAIRS[0]["pos"], PAIRS[1]["pos"], PAIRS[2]["pos"]}
    assert repair["neg"][0] == PAIRS[5]["pos"]
    assert not answers & set(repair["neg"])
    assert all(len(line["neg"]) <= 2 for line in lines)
    assert (seen[-1].texts, seen[-1].texts_total) == (11, 11)
    again = read_pairs(files)
    assert again.sources["bikes"][0].negatives == tuple(repair["neg"])
    assert again.sources["bikes"][0].tag == "tag"


def test_negatives_that_are_known_stay_and_what_is_mined_is_not_mined_again(tmp_path):
    given = [{**PAIRS[0], "neg": "A song about bicycles."}, *PAIRS[3:]]
    file = write_pairs(tmp_path / "pairs.jsonl", given)
    (first,) = mine(MiningConfig(negatives=1), [file], tmp_path / "mined")
    assert _mined([first])[0]["neg"][0] == "A song about bicycles."
    before = first.read_bytes()
    changed = first.stat().st_mtime_ns
    assert mine(MiningConfig(negatives=1), [file], tmp_path / "mined") == [first]
    assert first.stat().st_mtime_ns == changed
    with pytest.raises(TrainingInputError, match="mined by another model, from other files"):
        mine(MiningConfig(negatives=2), [file], tmp_path / "mined")
    first.unlink()
    mine(MiningConfig(negatives=1), [file], tmp_path / "mined")
    assert first.read_bytes() == before


def test_bad_choices_are_refused():
    with pytest.raises(TrainingInputError, match="negatives is 0"):
        MiningConfig(negatives=0)
    with pytest.raises(TrainingInputError, match="margin is 2"):
        MiningConfig(margin=2)
