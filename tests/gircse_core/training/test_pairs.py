from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from gircse_core.errors import TrainingInputError
from gircse_core.training.pairs import Pair, read_pairs
from tests.gircse_core.training.data import questions, write_pairs


def test_sources_tags_and_negatives(tmp_path):
    lines = [
        {"query": "a", "pos": "b", "source": "faq#lead"},
        {"query": "c", "pos": "d", "source": "faq", "neg": "e"},
        {"query": "f", "pos": "g", "neg": ["h", "i"]},
    ]
    file = write_pairs(tmp_path / "mixed.jsonl.gz", lines)
    pairs = read_pairs([file])
    assert pairs.sources == {
        "faq": [Pair("a", "b", (), "lead"), Pair("c", "d", ("e",))],
        "mixed": [Pair("f", "g", ("h", "i"))],
    }
    (described,) = pairs.files
    assert described.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert described.pairs == {"faq#lead": 1, "faq": 1, "mixed": 1}
    assert (len(pairs), list(pairs.texts())) == (3, ["b", "d", "g"])


@pytest.mark.parametrize(
    ("left_out", "kept"), [("#lead", ["c", "f"]), ("faq", ["f"]), ("faq#lead", ["c", "f"])]
)
def test_what_is_left_out(tmp_path, left_out, kept):
    lines = [
        {"query": "a", "pos": "b", "source": "faq#lead"},
        {"query": "c", "pos": "d", "source": "faq"},
        {"query": "f", "pos": "g", "source": "other"},
    ]
    pairs = read_pairs([write_pairs(tmp_path / "x.jsonl", lines)], leave_out=[left_out])
    assert [pair.query for listed in pairs.sources.values() for pair in listed] == kept
    assert pairs.files[0].left_out == 3 - len(kept)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{nonsense", "line 2 is no JSON"),
        ('["a", "b"]', "line 2 is no JSON object"),
        ('{"query": "a"}', "line 2: pos is missing"),
        ('{"query": " ", "pos": "b"}', "line 2: query is empty"),
        ('{"query": "a", "pos": 7}', "line 2: pos is 7; it must be a text"),
        ('{"query": "a", "pos": "b", "neg": [null]}', "line 2: neg is missing"),
        ('{"query": "a", "pos": "b", "source": "#lead"}', "line 2: source is '#lead'"),
        (r'{"query": "a", "pos": "b \ud83d"}', "line 2: pos holds '\\ud83d', half of a character"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path, line, complaint):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"query": "a", "pos": "b"}) + "\n" + line + "\n")
    with pytest.raises(TrainingInputError, match=r"pairs\.jsonl, ") as caught:
        read_pairs([file])
    assert complaint in str(caught.value)


def test_files_that_cannot_be_used(tmp_path):
    with pytest.raises(TrainingInputError, match="No file of pairs"):
        read_pairs([])
    with pytest.raises(TrainingInputError, match=r"There is no file .*missing\.jsonl"):
        read_pairs([tmp_path / "missing.jsonl"])
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(TrainingInputError, match="There are no pairs in"):
        read_pairs([tmp_path / "empty.jsonl"])
    whole = gzip.compress(json.dumps({"query": "a", "pos": "b"}).encode() * 50)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-12])
    with pytest.raises(TrainingInputError, match="cannot be read beyond line"):
        read_pairs([tmp_path / "cut.jsonl.gz"])
    file = write_pairs(tmp_path / "x.jsonl", questions(2))
    with pytest.raises(TrainingInputError, match=r"Nothing in the files is called \['#led'\]"):
        read_pairs([file], leave_out=["#led"])
    with pytest.raises(TrainingInputError, match=r"no pairs .* \(2 were left out\)"):
        read_pairs([file], leave_out=["x"])
