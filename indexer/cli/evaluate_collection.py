"""``gircse eval --collection``: how good a collection's searches are, by what was judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.cli.judged import judgements_of, step_counts
from indexer.cli.session import Session
from indexer.cli.terminal import write_json
from indexer.wording import steps_text

if TYPE_CHECKING:
    from indexer.evaluation.curve import CurvePoint, QualityCurve
    from indexer.settings import Settings

__all__ = ["evaluate_collection"]

_NAMES = {"hybrid": "meaning and words", "dense": "meaning alone"}


def evaluate_collection(
    name: str,
    judgements: Path | None,
    split: str,
    steps: str | None,
    settings: Settings,
    session: Session,
    *,
    as_json: bool,
) -> None:
    """Measure a collection as it stands, and print quality against steps and time.

    Raises:
        UsageError: nothing was judged, or an option is wrong.
        IndexerError, ModelError: the collection or its model cannot be used.
    """
    from indexer import embedder
    from indexer.cli.evaluate_progress import EvaluationDisplay
    from indexer.evaluation.curve import quality_curve
    from indexer.evaluation.tuning_sets import judged_collection

    with session.open(name) as target, target.using():
        info = target.model_info()
        target.check_model(info)
        judged = judgements_of(target, judgements, split, session)
        counts = step_counts(steps, info, target.query_steps())
        with session.terminal.status(f"Loading {target.config.model}"):
            loaded = embedder.load_embedder(
                target.config.model, device=settings.device, dtype=settings.dtype
            )
        with EvaluationDisplay(session.terminal) as display:
            found = judged_collection(
                target, judged, loaded, steps=counts, on_progress=display.update
            )
        weight = target.search_defaults().dense_weight
        curve = quality_curve(found, dense_weight=weight)
        current = target.query_steps()
    if as_json:
        write_json({"collection": name, "query_steps": current, **curve.as_dict()})
    else:
        _print(curve, session, current)


def _print(curve: QualityCurve, session: Session, current: int) -> None:
    from indexer.evaluation.curve import CURVE_METRICS
    from indexer.evaluation.significance import RESAMPLES

    terminal = session.terminal
    terminal.line((f"{curve.name}: {curve.queries:,} judged queries", "bold"))
    header = ("search by", "steps", "ms", "nDCG@10", "interval", *CURVE_METRICS[1:])
    rows = [_row(_NAMES[way], one) for way in ("hybrid", "dense") for one in _points(curve, way)]
    words = (f"{100 * curve.words[metric].mean:.1f}" for metric in CURVE_METRICS)
    rows.append(("words alone", "", "", next(words), "", *words))
    terminal.columns(header, rows, right=header[1:])
    terminal.line("")
    knee = curve.knee("hybrid").steps
    terminal.line(
        f"Knee: {steps_text(knee)}, the fewest within 0.1 point of the best by meaning and words; "
        f"searched with {steps_text(current)} now."
    )
    terminal.note(f"Intervals: 95 %, {RESAMPLES:,} bootstrap samples of the queries, fixed seed.")


def _points(curve: QualityCurve, way: str) -> tuple[CurvePoint, ...]:
    return curve.hybrid if way == "hybrid" else curve.dense


def _row(name: str, point: CurvePoint) -> tuple[str, ...]:
    from indexer.evaluation.curve import CURVE_METRICS

    first, *others = (point.figures[metric] for metric in CURVE_METRICS)
    span = first.interval
    return (
        name,
        str(point.steps),
        f"{point.latency_ms:.0f}",
        f"{100 * first.mean:.1f}",
        "" if span is None else f"{100 * span.low:.1f} to {100 * span.high:.1f}",
        *(f"{100 * one.mean:.1f}" for one in others),
    )
