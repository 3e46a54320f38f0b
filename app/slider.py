"""The wording of the refinement slider: what each number of steps costs on this machine."""

from __future__ import annotations

from app.calibration import StepTiming
from app.models import ModelStatus
from indexer.embedder import ModelInfo
from indexer.refining import MOST_STEPS
from indexer.wording import milliseconds_text, steps_text

__all__ = ["default_steps", "range_text", "slider_label", "step_range"]


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
    elif status.state == "loading":
        cost = "the model is loading …"
    else:
        cost = "the model is not available"
    return f"Refinement: {steps_text(steps)} · {cost}"


def range_text(timing: StepTiming) -> str:
    """Return what both ends of the slider and a step between them cost."""
    low, high = timing.min_steps, timing.max_steps
    return (
        f"{steps_text(low)}: {milliseconds_text(timing.milliseconds(low))}; each further one: "
        f"{milliseconds_text(timing.step_ms)}; {steps_text(high)}: "
        f"{milliseconds_text(timing.milliseconds(high))}."
    )
