"""``gircse tune``: how to search a collection best, learned from judged queries."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.judged import step_counts
from indexer.cli.options import DeviceOption, FormatOption, QuietOption, epilog
from indexer.cli.session import Session, session_of
from indexer.cli.terminal import write_json
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.embedder import Embedder
    from indexer.evaluation.tuning import JudgedLegs, StepOutcome, TuningReport
    from indexer.evaluation.tuning_sets import OnProgress
    from indexer.settings import Settings

__all__ = ["EPILOG", "tune"]

EPILOG = epilog(
    "gircse tune work",
    "gircse tune work --judgements my-judgements",
    "gircse tune work --judgements my-judgements --steps 0,1,3,5,8 --budget-ms 40 --apply",
    "gircse tune work --reset",
    "gircse tune --judgements sets/faq --judgements sets/papers",
    after=[
        "Judgements are a folder with queries.jsonl ({_id, text} per line) and qrels/test.tsv"
        " (query id, document, score, between tabs); a document is named by its path, or the end"
        " of it. Without --judgements the thumbs count that users gave to hits in the app.",
        "Without a collection the folders are whole sets in the BEIR layout, with corpus.jsonl.",
        "HELD OUT is what a weight gives on queries that did not choose it: what to expect.",
    ],
)

_HEADER = ("steps", "ms", "words", "meaning", "auto", "best weight", "with it", "held out", "p")


def tune(  # noqa: PLR0913 - one per option
    context: typer.Context,
    collection: Annotated[
        str | None,
        typer.Argument(
            metavar="[COLLECTION]",
            help="The collection whose documents were judged.",
            show_default="none: the judged sets bring their own documents",
        ),
    ] = None,
    judgements: Annotated[
        list[Path] | None,
        typer.Option(
            "--judgements",
            "-j",
            metavar="DIR",
            help="Judged queries; may be repeated.",
            show_default="the collection's own, from thumbs in the app",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Which judgements: qrels/NAME.tsv.")
    ] = "test",
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps",
            "-k",
            metavar="K,K,…",
            help="Refinement steps of the queries to compare.",
            show_default="of 0,1,2,3,5,8,12,20 those that the model defines",
        ),
    ] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            "--budget-ms",
            metavar="MS",
            min=0.0,
            help="Also choose the steps: the best whose searches take no longer than this.",
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the advice the collection's own.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget what was applied to the collection.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Model for judged sets; a collection has its own.",
            show_default="the one of the settings",
        ),
    ] = None,
    device: DeviceOption = None,
    format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Find the best weight of meaning against words, from judged queries."""
    session = session_of(context)
    session.terminal.quiet = quiet
    settings = session.load({"model": model, "device": device}).settings
    folders = judgements or []
    _check(collection, folders, apply=apply, reset=reset, model=model)
    if collection is None:
        report = _tune_sets(folders, steps, budget_ms, split, settings, session)
    else:
        with session.open(collection) as target, target.using():
            if reset:
                _reset(target, session)
                return
            report = _tune_collection(target, folders, steps, budget_ms, split, settings, session)
            if apply:
                _apply(target, report)
    if format == "json":
        write_json({**report.as_dict(), "applied": apply})
    else:
        _print(report, session, collection, applied=apply)


def _check(
    collection: str | None, folders: list[Path], *, apply: bool, reset: bool, model: str | None
) -> None:
    if (apply or reset) and collection is None:
        raise UsageError("--apply and --reset need a collection: gircse tune NAME …")
    if reset and (apply or folders):
        raise UsageError("--reset goes alone: it needs no judgements and applies none")
    if not reset and not folders and collection is None:
        raise UsageError("tuning needs a collection with judged hits, or --judgements DIR")
    if collection is not None and model is not None:
        raise UsageError("a collection is searched with its own model; leave --model out")
    if collection is not None and len(folders) > 1:
        raise UsageError("give one folder of judgements for a collection; merge their files")


def _tune_collection(
    target: Collection,
    folders: list[Path],
    steps: str | None,
    budget_ms: float | None,
    split: str,
    settings: Settings,
    session: Session,
) -> TuningReport:
    from indexer.cli.judged import judgements_of
    from indexer.evaluation.tuning_sets import judged_collection

    info = target.model_info()
    target.check_model(info)
    judged = judgements_of(target, folders[0] if folders else None, split, session)
    current = target.query_steps()
    counts = step_counts(steps, info, current)
    embedder = _load(target.config.model, settings, session)

    def search(on_progress: OnProgress) -> list[JudgedLegs]:
        return [judged_collection(target, judged, embedder, steps=counts, on_progress=on_progress)]

    return _run(search, session, current=current, budget_ms=budget_ms)


def _tune_sets(
    folders: list[Path],
    steps: str | None,
    budget_ms: float | None,
    split: str,
    settings: Settings,
    session: Session,
) -> TuningReport:
    from indexer.embedder import model_info
    from indexer.evaluation.study import EvaluationProgress, read_sets
    from indexer.evaluation.tuning_sets import judged_set
    from indexer.evaluation.vectors import VectorFiles

    sets = read_sets(folders, split=split)
    info = model_info(settings.model)
    current = info.default_steps if settings.steps is None else settings.steps
    counts = step_counts(steps, info, current)
    embedder = _load(settings.model, settings, session)

    def search(on_progress: OnProgress) -> list[JudgedLegs]:
        with tempfile.TemporaryDirectory(prefix="gircse-tune-") as directory:
            found = []
            for judged in sets:
                name = judged.name

                def on_texts(done: int, total: int, name: str = name) -> None:
                    on_progress(EvaluationProgress(f"{name}: embedding", done, total))

                files = VectorFiles(embedder, Path(directory), on_texts=on_texts)
                found.append(judged_set(judged, files, steps=counts, on_progress=on_progress))
            return found

    return _run(search, session, current=current, budget_ms=budget_ms)


def _run(
    search: Callable[[OnProgress], list[JudgedLegs]],
    session: Session,
    *,
    current: int,
    budget_ms: float | None,
) -> TuningReport:
    from indexer.cli.evaluate_progress import EvaluationDisplay
    from indexer.evaluation import tuning
    from indexer.evaluation.study import EvaluationProgress

    with EvaluationDisplay(session.terminal) as display:
        judged = search(display.update)
        done: list[StepOutcome] = []

        def on_outcome(outcome: StepOutcome) -> None:
            done.append(outcome)
            display.update(EvaluationProgress("weighing", len(done), len(judged[0].legs)))

        return tuning.tune(judged, steps=current, budget_ms=budget_ms, on_outcome=on_outcome)


def _load(name: str, settings: Settings, session: Session) -> Embedder:
    from indexer.embedder import load_embedder

    with session.terminal.status(f"Loading {name}"):
        return load_embedder(name, device=settings.device, dtype=settings.dtype)


def _apply(target: Collection, report: TuningReport) -> None:
    advised, before = report.advised, target.search_defaults()
    steps = before.steps if advised.steps is None else advised.steps
    target.set_search_defaults(replace(advised, steps=steps))


def _reset(target: Collection, session: Session) -> None:
    from indexer.collections.search_defaults import SearchDefaults

    target.set_search_defaults(SearchDefaults())
    session.terminal.line(f"The collection {target.name!r} is searched by the defaults again.")


def _print(
    report: TuningReport, session: Session, collection: str | None, *, applied: bool
) -> None:
    terminal = session.terminal
    queries = ", ".join(f"{name}: {count:,} queries" for name, count in report.queries.items())
    terminal.line((f"nDCG@10 of hybrid search ({queries})", "bold"))
    terminal.columns(_HEADER, [_row(one) for one in report.outcomes], right=_HEADER)
    terminal.line("")
    terminal.line(_advice(report))
    if collection is None:
        if report.chosen.advised_weight != "auto":
            terminal.note(f"To search so: --dense-weight {report.chosen.advised_weight:g}")
    elif applied:
        terminal.note(f"{collection!r} is searched so from now on, where no flag says otherwise.")
    else:
        terminal.note("Nothing was changed; --apply makes it the collection's own.")


def _row(one: StepOutcome) -> tuple[str, ...]:
    figures = (one.words, one.meaning, one.automatic)
    return (
        str(one.steps),
        f"{one.latency_ms:.0f}",
        *(f"{100 * figure:.1f}" for figure in figures),
        _weight_text(one.weight),
        f"{100 * one.best:.1f}",
        f"{100 * one.held_out:.1f}",
        "" if one.p_value is None else f"{one.p_value:.3f}",
    )


def _weight_text(weight: object) -> str:
    return f"{weight:.1f}" if isinstance(weight, float) else str(weight)


def _advice(report: TuningReport) -> str:
    one = report.chosen
    steps = "1 step" if one.steps == 1 else f"{one.steps} steps"
    where = steps if report.budget_ms is None else f"{steps} (within {report.budget_ms:g} ms)"
    if one.advised_weight == "auto":
        return f"Advice: {where}, weight auto: no other one is better on queries not seen."
    gain = 100 * (one.held_out - one.automatic)
    return (
        f"Advice: {where}, dense weight {_weight_text(one.weight)}: {gain:+.1f} points against auto"
        " on queries not seen."
    )
