from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gircse_core.errors import TrainingInputError
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.schedule import learning_rate


def test_the_families_defaults_stand_where_nothing_was_chosen():
    causal = TrainingConfig(alpha=8.0).resolved("causal")
    assert (causal.rank, causal.alpha, causal.dropout, causal.learning_rate) == (16, 8, 0.1, 1e-5)
    assert (causal.batch_size, causal.temperature, causal.symmetric) == (16, 0.02, False)
    encoder = TrainingConfig(symmetric=False).resolved("prefix_encoder")
    assert (encoder.rank, encoder.learning_rate, encoder.symmetric) == (32, 5e-4, False)


def test_it_survives_json_and_tells_what_differs():
    config = TrainingConfig(
        leave_out=("#lead",), source_weights=(("faq", 0.5),), conventions=(("gate", 0.2),)
    )
    again = TrainingConfig.from_dict(json.loads(json.dumps(config.as_dict())), origin="it")
    assert again == config
    other = replace(config, seed=3, checkpoint_every=7, device="cuda")
    assert config.differences(other) == ["seed: 0, 3"]
    with pytest.raises(TrainingInputError, match=r"it has the unknown keys \['colour'\]"):
        TrainingConfig.from_dict({"colour": 1}, origin="it")


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        ({"steps": 0}, "steps is 0; it must be 1 to 64"),
        ({"updates": 0}, "updates is 0; it must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"average_decay": 1.0}, "average_decay is 1.0"),
        ({"schedule": "steep"}, "schedule is 'steep'; choose one of"),
        ({"source_weights": (("faq", -1.0),)}, "'faq' is -1.0"),
    ],
)
def test_values_out_of_range_are_refused(choice, complaint):
    with pytest.raises(TrainingInputError) as caught:
        TrainingConfig(**choice)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_learning_rate_rises_and_falls(schedule):
    config = TrainingConfig(updates=100, warmup=0.1, learning_rate=2.0, schedule=schedule).resolved(
        "causal"
    )
    rates = [learning_rate(config, update) for update in range(100)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates[10] == 2.0
    if schedule == "constant":
        assert set(rates[10:]) == {2.0}
        return
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(1.0)
    assert 0 < rates[99] < 0.03


def test_a_run_of_one_update_learns():
    config = TrainingConfig(updates=1, learning_rate=1.0, warmup=0.0).resolved("causal")
    assert learning_rate(config, 0) == 1.0
