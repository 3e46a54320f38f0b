"""The pictures of the quality page, each with a sentence that says the same in words."""

from __future__ import annotations

from typing import Any, Literal, cast

import altair as alt

from indexer.evaluation.curve import CurvePoint, QualityCurve, Ranking
from indexer.evaluation.metrics import Metric
from indexer.wording import milliseconds_text, steps_text

__all__ = ["METRIC_NAMES", "RANKING_NAMES", "Against", "curve_picture", "figure_text"]

METRIC_NAMES: dict[Metric, str] = {
    "ndcg@10": "nDCG@10",
    "recall@10": "Recall@10",
    "recall@100": "Recall@100",
    "mrr@10": "MRR@10",
}
RANKING_NAMES: dict[Ranking, str] = {"hybrid": "meaning and words", "dense": "meaning alone"}

Against = Literal["steps", "milliseconds"]
Values = list[dict[str, object]]

_NAMES = list(RANKING_NAMES.values())
_LEGEND = alt.Legend(orient="bottom", title=None, columns=1, labelLimit=320, symbolStrokeWidth=2)
AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart


def curve_picture(
    curve: QualityCurve, metric: Metric, ranking: Ranking, against: Against
) -> tuple[AnyChart, str]:
    """Draw one metric with its 95 % intervals, the knee marked.

    Args:
        curve: what was measured.
        metric: which one.
        ranking: the way of searching whose knee is marked.
        against: what stands below.
    """
    values: Values = [
        _value(name, point, metric)
        for one, name in RANKING_NAMES.items()
        for point in curve.points(one)
    ]
    chosen = [value for value in values if value["name"] == RANKING_NAMES[ranking]]
    base = _chart(values).encode(x=_x(against), y=_y(metric), color=_color(), tooltip=_tooltip())
    bars = (
        _chart(chosen)
        .mark_errorbar(ticks=True, opacity=0.7)
        .encode(
            x=_x(against),
            y=alt.Y("low:Q", title=METRIC_NAMES[metric], scale=alt.Scale(zero=False)),
            y2="high:Q",
            color=_color(),
        )
    )
    lines = base.mark_line(strokeWidth=2).encode(
        order="steps:Q",
        strokeDash=alt.StrokeDash(
            "name:N", scale=alt.Scale(domain=_NAMES, range=[[1, 0], [6, 4]]), legend=_LEGEND
        ),
    )
    marks = base.mark_point(filled=True, size=60, opacity=1).encode(
        shape=alt.Shape(
            "name:N",
            scale=alt.Scale(domain=_NAMES, range=["circle", "square"]),
            legend=_LEGEND,
        )
    )
    chart = alt.layer(bars, lines, marks, *_knee(curve, metric, ranking, against))
    return chart.properties(height=340), _alt(curve, metric, ranking)


def figure_text(point: CurvePoint, metric: Metric) -> str:
    """Return a figure with its interval, such as "0.712 (0.64 to 0.78)"."""
    figure = point.figures[metric]
    if figure.interval is None:
        return f"{figure.mean:.3f}"
    return f"{figure.mean:.3f} ({figure.interval.low:.2f} to {figure.interval.high:.2f})"


def _knee(
    curve: QualityCurve, metric: Metric, ranking: Ranking, against: Against
) -> list[alt.Chart]:
    point = curve.knee(ranking)
    value = _value(RANKING_NAMES[ranking], point, metric)
    base = _chart([value]).encode(x=_x(against), y=_y(metric), tooltip=_tooltip())
    # Of middle lightness: seen on a light and on a dark page.
    ring = base.mark_point(size=320, strokeWidth=2.5, shape="diamond", color="#c07f10", opacity=1)
    label = base.mark_text(
        align="left",
        dx=4,
        dy=-20,
        fontWeight="bold",
        fontSize=13,
        color="#c07f10",
        text=f"knee: {point.steps}",
    )
    return [ring, label]


def _x(against: Against) -> alt.X:
    if against == "steps":
        return alt.X(
            "steps:Q",
            title="Refinement steps of the query",
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        )
    return alt.X(
        "ms:Q",
        title="Milliseconds per search (median, log scale)",
        # Each step takes about the same: the first ones would else stand on top of each other.
        scale=alt.Scale(type="log", nice=False, padding=24),
        axis=alt.Axis(grid=False, format="~r", tickCount=6),
    )


def _y(metric: Metric) -> alt.Y:
    return alt.Y("value:Q", title=METRIC_NAMES[metric], scale=alt.Scale(zero=False, padding=12))


def _color() -> alt.Color:
    return alt.Color("name:N", scale=alt.Scale(domain=_NAMES), legend=_LEGEND)


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("name:N", title="Search by"),
        alt.Tooltip("steps:Q", title="Steps"),
        alt.Tooltip("ms:Q", title="Milliseconds", format=".1f"),
        alt.Tooltip("text:N", title="Value, 95 % interval"),
    ]


def _value(name: str, point: CurvePoint, metric: Metric) -> dict[str, object]:
    figure = point.figures[metric]
    interval = figure.interval
    return {
        "name": name,
        "steps": point.steps,
        "ms": point.latency_ms,
        "value": figure.mean,
        "low": figure.mean if interval is None else interval.low,
        "high": figure.mean if interval is None else interval.high,
        "text": figure_text(point, metric),
    }


def _alt(curve: QualityCurve, metric: Metric, ranking: Ranking) -> str:
    points = "; ".join(
        f"{steps_text(point.steps)}, {milliseconds_text(point.latency_ms)}: "
        f"{figure_text(point, metric)}"
        for point in curve.points(ranking)
    )
    return (
        f"{METRIC_NAMES[metric]} by {RANKING_NAMES[ranking]} with 95 % intervals. {points}. "
        f"Words alone: {curve.words[metric].mean:.3f}. The knee is at "
        f"{steps_text(curve.knee(ranking).steps)}."
    )


def _chart(values: Values) -> alt.Chart:
    return alt.Chart(cast(Any, {"values": values}))
