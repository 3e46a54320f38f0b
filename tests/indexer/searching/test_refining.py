"""When a search stops, by arithmetic alone."""

from __future__ import annotations

import pytest

from indexer.searching.refining import STABLE_STEPS, STABLE_TOP, Pace, Progress, Stability

TOP = ["a", "b", "c", "d", "e"]


def test_the_first_hits_are_stable_since_they_last_changed() -> None:
    stability = Stability()
    for step, ranking in enumerate([TOP[::-1], TOP, [*TOP, "f"], [*TOP, "g"]]):
        stability.note(step, ranking)
        assert not stability.is_stable(step)
    assert stability.progress(3, None) == Progress(0, 3, 1, STABLE_TOP, None)
    assert not stability.progress(3, None).is_moving
    stability.note(4, TOP)
    assert stability.is_stable(4)
    assert STABLE_STEPS == 4 - 1
    stability.note(5, TOP[1:])
    assert stability.progress(5, "steps") == Progress(0, 5, 5, 4, "steps")
    assert stability.progress(5, "steps").is_moving


def test_without_a_budget_there_is_always_time() -> None:
    pace = Pace(None)
    pace.note_step(5.0)
    assert pace.has_time(1e6, looks=9)


def test_a_step_is_begun_only_if_it_and_the_look_after_it_fit() -> None:
    pace = Pace(1.0)
    pace.note_step(0.1)
    pace.note_look(0.2)
    assert pace.has_time(0.7)
    assert not pace.has_time(0.71)
    assert pace.has_time(0.5, looks=2)
    assert not pace.has_time(0.51, looks=2)


def test_cheap_looks_are_always_worth_it_and_dear_ones_in_proportion() -> None:
    pace = Pace(None)
    pace.note_step(0.001)
    for _ in range(50):
        pace.note_look(0.01)
    assert pace.is_worth_a_look()
    pace.note_look(0.5)
    assert not pace.is_worth_a_look()
    pace.note_step(2.0)
    assert pace.is_worth_a_look()


def test_one_lucky_look_is_not_believed() -> None:
    pace = Pace(1.0)
    pace.note_look(0.4)
    pace.note_look(0.0)
    assert pace.has_time(0.8)
    assert not pace.has_time(0.81)


@pytest.mark.parametrize("found", [[], ["a"], TOP])
def test_fewer_hits_than_are_watched_are_all_watched(found: list[str]) -> None:
    stability = Stability()
    stability.note(1, found)
    assert stability.progress(1, None).top == len(found)
