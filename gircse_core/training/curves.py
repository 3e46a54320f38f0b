"""The picture of a run: loss by step count over the updates, and what later steps add."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CURVES_FILE", "draw_curves"]

CURVES_FILE = "curves.png"

# Single batches of different sources jump far more than a run changes.
_SMOOTHED_SHARE = 0.05


def draw_curves(history: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw a run's history as PNG.

    Args:
        history: updates as ``RunFolder.history`` returns them; at least one.
        file: where.
    """
    # No display is needed or looked for, and pyplot's global state is left alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, gains = figure.subplots(1, 2)
    names = list(history[-1]["step_losses"])
    values = np.array([[line["step_losses"][name] for name in names] for line in history])
    updates = [line["update"] for line in history]
    width = max(round(len(history) * _SMOOTHED_SHARE), 1)
    smooth = np.stack([_moving_mean(column, width) for column in values.T])
    shown = updates[len(updates) - smooth.shape[1] :]
    for index, name in enumerate(names):
        # Dark to bright with the steps; a map that people with colour-blindness can read.
        colour = _shade(index, len(names))
        label = f"{name} step" if name == "1" else f"{name} steps"
        losses.plot(shown, smooth[index], color=colour, label=label, linewidth=1.4)
        if index:
            gains.plot(shown, smooth[index] - smooth[0], color=colour, linewidth=1.4)
    losses.set(xlabel="update", ylabel=f"InfoNCE, mean of {width}", title="Loss by step count")
    losses.legend(fontsize="small")
    gains.axhline(0, color="0.6", linewidth=0.8)
    gains.set(xlabel="update", title=f"Difference to {names[0]} (below 0: better)")
    for axes in (losses, gains):
        axes.grid(alpha=0.25)
    partial = file.with_suffix(".partial")
    figure.savefig(partial, format="png", dpi=130, metadata={"Software": None})
    partial.replace(file)


def _shade(index: int, count: int) -> tuple[float, float, float, float]:
    from matplotlib import colormaps

    red, green, blue, alpha = colormaps["viridis"](0.9 * index / max(count - 1, 1))
    return (red, green, blue, alpha)


def _moving_mean(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return np.convolve(values, np.full(width, 1 / width), mode="valid")
