from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from app.models import ModelStatus
from app.searching.calibration import Calibration, StepTiming, calibrate
from app.searching.slider import default_steps, range_text, slider_label, step_range
from indexer.embedder import Embedder, ModelInfo, load_embedder, model_info


@dataclass
class Step:
    step: int
    seconds: float
    vector: object = None


@dataclass
class Info:
    min_steps: int
    max_steps: int
    default_steps: int = 3


class Timed:
    """An embedder whose steps take what the test says; every second run is disturbed."""

    def __init__(self, info: Info) -> None:
        self.info = info
        self.runs = 0

    def refine(self, text: str, *, max_steps: int) -> Iterator[Step]:
        self.runs += 1
        slower = 50.0 if self.runs % 2 else 1.0
        yield Step(self.info.min_steps, 0.007 * slower)
        for step in range(self.info.min_steps + 1, max_steps + 1):
            yield Step(step, 0.002 * slower)


def test_disturbed_runs_do_not_count() -> None:
    timing = calibrate(cast(Embedder, Timed(Info(0, 64))), clock=lambda: 0.0)
    assert timing.first_ms == pytest.approx(7.0)
    assert timing.step_ms == pytest.approx(2.0)
    assert timing.milliseconds(20) == pytest.approx(47.0)
    assert (timing.min_steps, timing.max_steps) == (0, 20)


def test_a_slow_model_is_measured_once() -> None:
    embedder = Timed(Info(1, 64))
    ticks = iter([0.0, 30.0])
    timing = calibrate(cast(Embedder, embedder), clock=lambda: next(ticks))
    assert embedder.runs == 1
    assert timing.first_ms == pytest.approx(350.0)


@pytest.mark.parametrize(
    ("info", "offered"), [(Info(0, 0), (0, 0)), (Info(1, 64), (1, 20)), (Info(0, 5), (0, 5))]
)
def test_what_is_offered(info: Info, offered: tuple[int, int]) -> None:
    assert step_range(cast(ModelInfo, info)) == offered
    assert offered[0] <= default_steps(cast(ModelInfo, info), 64) <= offered[1]


def test_a_model_without_an_adapter_has_nothing_to_choose(plain_model: Path) -> None:
    assert step_range(model_info(str(plain_model))) == (0, 0)
    timing = calibrate(load_embedder(str(plain_model)))
    assert timing.min_steps == timing.max_steps == 0
    assert timing.first_ms > 0
    assert timing.step_ms == 0.0


def test_the_default_model_is_measured_by_its_steps(minilm: Embedder) -> None:
    assert step_range(minilm.info) == (0, 20)
    assert default_steps(minilm.info, None) == 5
    timing = calibrate(minilm)
    assert (timing.min_steps, timing.max_steps) == (0, 20)
    assert timing.step_ms > 0
    assert timing.milliseconds(20) > timing.milliseconds(0)


def test_a_model_of_ones_own_begins_at_its_own_steps(refining_model: Path) -> None:
    info = model_info(str(refining_model))
    assert step_range(info) == (0, 20)
    assert default_steps(info, None) == 3


def test_labels_say_what_it_costs() -> None:
    timing = StepTiming(min_steps=0, max_steps=20, first_ms=7.0, step_ms=6.2)
    ready = ModelStatus("ready", timing=timing)
    assert slider_label(0, ready) == "Refinement: 0 steps · about 7.0 ms"
    assert slider_label(1, ready) == "Refinement: 1 step · about 13 ms"
    assert slider_label(5, ModelStatus("loading")).endswith("the model is loading …")
    assert slider_label(5, ModelStatus("failed")).endswith("the model is not available")
    assert range_text(timing) == "0 steps: 7.0 ms; each further one: 6.2 ms; 20 steps: 131 ms."


def test_times_follow_when_searches_take_other_times_than_measured() -> None:
    calibration = Calibration(StepTiming(min_steps=0, max_steps=20, first_ms=10.0, step_ms=8.0))
    for _ in range(10):
        calibration.note([11.0, 8.5, 7.5])  # as measured
    assert (calibration.timing.first_ms, calibration.timing.step_ms) == (10.0, 8.0)
    calibration.note([200.0, 300.0, 300.0])  # once, by something else
    calibration.note([200.0, 300.0, 300.0])
    assert (calibration.timing.first_ms, calibration.timing.step_ms) == (10.0, 8.0)
    for _ in range(5):
        calibration.note([21.0, 17.0, 16.0, 15.0])
    assert calibration.timing.first_ms == pytest.approx(21.0)
    assert calibration.timing.step_ms == pytest.approx(16.0)
    for _ in range(5):
        calibration.note([10.0])  # calm again, and nothing known of steps
    assert calibration.timing.first_ms == pytest.approx(10.0)
    assert calibration.timing.step_ms == pytest.approx(16.0)


def test_a_time_buys_steps() -> None:
    timing = StepTiming(min_steps=1, max_steps=20, first_ms=10.0, step_ms=8.0)
    assert [timing.steps_within(one) for one in (0.0, 10.0, 17.9, 18.0, 50.0, 1e6)] == [
        1, 1, 1, 2, 6, 20,
    ]  # fmt: skip
    assert StepTiming(0, 0, 10.0, 0.0).steps_within(1e6) == 0
