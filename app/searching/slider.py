"""The wording of the refinement controls: what each choice costs on this machine."""

from __future__ import annotations

from app.models import ModelStatus
from app.searching.calibration import StepTiming
from indexer.embedder import ModelInfo
from indexer.searching.refining import MOST_STEPS, STABLE_STEPS, STABLE_TOP
from indexer.wording import milliseconds_text, steps_text

__all__ = [
    "automatic_text",
    "budget_label",
    "default_steps",
    "range_text",
    "slider_label",
    "step_range",
]


def step_range(info: ModelInfo) -> tuple[int, int]:
    """Return the smallest and the largest number of steps to offer; equal when there is none."""
    return info.min_steps, min(info.max_steps, max(MOST_STEPS, info.min_steps))


def default_steps(info: ModelInfo, wanted: int | None) -> int:
    """Return the number of steps to begin with: the wanted one or the model's, within the range."""
    low, high = step_range(info)
    return min(max(info.default_steps if wanted is None else wanted, low), high)


def slider_label(steps: int, status: ModelStatus) -> str:
    """Return the label for a chosen number of steps, such as "Refinement: 5 steps · about 38 ms".

    Args:
        steps: the chosen number.
        status: of the model, with what was measured here once it is ready.
    """
    if status.timing is not None:
        cost = f"about {milliseconds_text(status.timing.milliseconds(steps))}"
    else:
        cost = _without_timing(status)
    return f"Refinement: {steps_text(steps)} · {cost}"


def budget_label(budget_ms: float, status: ModelStatus) -> str:
    """Return the label for a time limit, such as "Answer within … ms · up to 5 steps".

    Args:
        budget_ms: the chosen time.
        status: of the model, with what was measured here once it is ready.
    """
    if status.timing is not None:
        buys = f"up to {steps_text(status.timing.steps_within(budget_ms))}"
    else:
        buys = _without_timing(status)
    return f"Answer within … ms · {buys}"


def automatic_text(info: ModelInfo, status: ModelStatus) -> str:
    """Return when an automatic search stops, and what it takes at the most."""
    _, high = step_range(info)
    if status.timing is not None:
        most = f"about {milliseconds_text(status.timing.milliseconds(high))}"
    else:
        most = _without_timing(status)
    return (
        f"Stops when the top {STABLE_TOP} keep their places for {steps_text(STABLE_STEPS)}, or the "
        f"question hardly moves any more. At most {steps_text(high)} · {most}"
    )


def range_text(timing: StepTiming) -> str:
    """Return what both ends of the slider and a step between them cost."""
    low, high = timing.min_steps, timing.max_steps
    return (
        f"{steps_text(low)}: {milliseconds_text(timing.milliseconds(low))}; each further one: "
        f"{milliseconds_text(timing.step_ms)}; {steps_text(high)}: "
        f"{milliseconds_text(timing.milliseconds(high))}."
    )


def _without_timing(status: ModelStatus) -> str:
    if status.state == "loading":
        return "the model is loading …"
    return "the model is not available"
