"""Quality against time: a line per way of searching, with a point per step count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.errors import StorageError, UsageError
from indexer.evaluation.requirements import require
from indexer.evaluation.results import EvaluationReport, RunResult, SetResult

__all__ = ["check_plot_file", "write_plot"]

_ENDINGS = (".png", ".svg", ".pdf")


def check_plot_file(file: Path) -> None:
    """Check before anything is measured that a picture can be written there.

    Raises:
        UsageError: its ending or folder is wrong, or matplotlib is not installed.
    """
    if file.suffix.lower() not in _ENDINGS:
        raise UsageError(f"--plot is {str(file)!r}; expected a name in {', '.join(_ENDINGS)}.")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"--plot is {str(file)!r}, but there is no folder {file.parent}.")
    require("matplotlib.figure")


def write_plot(report: EvaluationReport, file: Path) -> None:
    """Draw the average over the sets, or the only set.

    Raises:
        UsageError: there is no judged set to draw, or matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    if not report.sets:
        raise UsageError("--plot draws judged sets, and there are only sentence pairs.")
    result = report.average or report.sets[0]
    # The class itself and not pyplot, which keeps every figure and may look for a display.
    figure = require("matplotlib.figure").Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for method in dict.fromkeys(run.method for run in result.runs):
        _draw(axes, [run for run in result.runs if run.method == method])
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds per query (median, one query at a time)")
    axes.set_ylabel("nDCG@10, with 95 % intervals")
    axes.set_title(_title(report, result))
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    try:
        # Without a date, equal figures give equal files.
        metadata = {"Software": None} if file.suffix.lower() == ".png" else {"Date": None}
        if file.suffix.lower() == ".pdf":
            metadata = {"CreationDate": None}
        figure.savefig(file, dpi=150, metadata=metadata)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}.") from error


def _draw(axes: Any, runs: list[RunResult]) -> None:  # noqa: ANN401 - matplotlib comes late
    """Draw one way of searching, its step counts written beside the points."""
    timed = [(run.ms_per_query, run) for run in runs if run.ms_per_query is not None]
    times = [time for time, _ in timed]
    figures = [run.figures["ndcg@10"] for _, run in timed]
    means = [figure.mean for figure in figures]
    spans = [
        (0.0, 0.0)
        if figure.interval is None
        else (figure.mean - figure.interval.low, figure.interval.high - figure.mean)
        for figure in figures
    ]
    below, above = zip(*spans, strict=True)
    axes.errorbar(
        times,
        means,
        yerr=(below, above),
        marker="o",
        capsize=2,
        elinewidth=0.6,
        label=runs[0].method,
    )
    for time, run in timed:
        if run.steps is not None:
            place = (time, run.figures["ndcg@10"].mean)
            axes.annotate(str(run.steps), place, textcoords="offset points", xytext=(4, 4))


def _title(report: EvaluationReport, result: SetResult) -> str:
    name = f"average of {len(report.sets)} sets" if report.average else result.name
    # A dollar sign would start mathematics.
    return f"{report.model or 'words alone'}: {name}".replace("$", r"\$")
