import json

import pytest

from indexer.collections.fingerprint import Fingerprint

MODEL = {"weights": "abc", "pooling": "generate_mean", "dtype": "float32"}
CHUNKING = {"max_tokens": 200, "overlap_tokens": 20}


def fingerprint(**changes) -> Fingerprint:
    return Fingerprint(**{"model": MODEL, "steps": 3, "chunking": CHUNKING, **changes})


def test_equal_ones_do_not_differ():
    assert fingerprint().differences(fingerprint()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"steps": 5}, "steps: 3 / 5"),
        ({"model": {**MODEL, "weights": "xyz"}}, "weights: abc / xyz"),
        ({"model": {"pooling": "generate_mean"}}, "weights: abc / absent"),
        ({"model": {**MODEL, "adapter": "q"}}, "adapter: absent / q"),
        ({"chunking": {**CHUNKING, "max_tokens": 100}}, "chunking.max_tokens: 200 / 100"),
        ({"format_version": 2}, "format_version: 1 / 2"),
    ],
)
def test_each_difference_is_named_with_both_values(changes, line):
    assert fingerprint().differences(fingerprint(**changes)) == [line]


def test_the_number_type_is_recorded_but_not_compared():
    other = fingerprint(model={**MODEL, "dtype": "bfloat16"})
    assert fingerprint().differences(other) == []
    assert other.as_dict()["model"]["dtype"] == "bfloat16"


def test_the_models_name_is_recorded_but_not_compared():
    named = [fingerprint(model={**MODEL, "model": name}) for name in ["mine", "/models/mine"]]
    assert named[0].differences(named[1]) == []


def test_vectors_without_refinement_do_not_depend_on_how_it_would_be_done():
    trained = {**MODEL, "pooling": "residual_sum", "adapter": "q", "decay": "0.7"}
    plain, other = fingerprint(steps=0), fingerprint(steps=0, model=trained)
    assert plain.differences(other) == []
    assert fingerprint(steps=0).differences(fingerprint(steps=0, model={**MODEL, "weights": "x"}))
    assert "adapter: absent / q" in plain.differences(fingerprint(steps=1, model=trained))


def test_it_survives_json():
    original = fingerprint(steps=7)
    assert Fingerprint.from_dict(json.loads(json.dumps(original.as_dict()))) == original


@pytest.mark.parametrize("name", ["model", "steps", "chunking", "format_version"])
def test_missing_or_mistyped_values_are_refused(name):
    values = fingerprint().as_dict()
    with pytest.raises(ValueError, match=name):
        Fingerprint.from_dict({**values, name: "x"})
    del values[name]
    with pytest.raises(ValueError, match=name):
        Fingerprint.from_dict(values)
