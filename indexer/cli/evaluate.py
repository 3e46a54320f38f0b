"""``gircse eval``: how well a model finds, measured on judged sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from indexer import embedder
from indexer.cli.evaluate_collection import evaluate_collection
from indexer.cli.options import DeviceOption, QuietOption, complete_collection, epilog
from indexer.cli.session import Session, session_of
from indexer.cli.terminal import write_json
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.embedder import Embedder
    from indexer.evaluation.results import Baseline, EvaluationReport
    from indexer.searching.results import Mode
    from indexer.settings import Settings

__all__ = ["EPILOG", "evaluate"]

EPILOG = epilog(
    "gircse eval my-set",
    "gircse eval --collection work",
    "gircse eval sets/* --steps 0,1,5,20 --mode dense --baseline rocchio --plot curve.svg",
    "gircse eval my-set --steps 1,5,20 --matrix --format json",
    after=[
        "A judged set is a folder in the BEIR layout: corpus.jsonl, queries.jsonl, qrels/test.tsv.",
        "A file of sentence pairs has a score, a sentence and a sentence per line, between tabs.",
        "Figures: nDCG@10, recall@100, MRR@10; 95 % bootstrap intervals; paired t-tests against",
        "the fewest steps.",
    ],
)

ReportFormat = Literal["table", "json"]
NameT = TypeVar("NameT", bound=str)


def evaluate(  # noqa: PLR0913 - one per option
    context: typer.Context,
    sets: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]…",
            help="Judged sets, and files of sentence pairs.",
            show_default="none: a collection is measured",
        ),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            "-c",
            metavar="NAME",
            help="Measure searches of this collection, by what users said of its hits.",
            show_default="none: judged sets are measured",
            autocompletion=complete_collection,
        ),
    ] = None,
    judgements: Annotated[
        Path | None,
        typer.Option(
            "--judgements",
            "-j",
            metavar="DIR",
            help="Judgements of the collection's documents; see gircse tune.",
            show_default="the collection's own, from thumbs in the app",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="A registered name, a local folder or a hub id.",
            show_default="the one of the settings",
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps",
            "-k",
            metavar="K,K,…",
            help="Refinement steps of the queries.",
            show_default="of 0,1,2,3,5,8,12,20 those that the model defines",
        ),
    ] = None,
    doc_steps: Annotated[
        str,
        typer.Option("--doc-steps", metavar="same|K", help="Refinement steps of the documents."),
    ] = "same",
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode",
            "-m",
            metavar="MODE",
            help="dense, lexical or hybrid; may be repeated.",
            show_default="all",
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            "-b",
            metavar="NAME",
            help="What else to measure, on the same backbone: mean, last, prompt, rocchio, maxsim"
            " or bm25; may be repeated.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Which judgements: qrels/NAME.tsv.")
    ] = "test",
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Also pair every step count with every other.")
    ] = False,
    chunked: Annotated[
        bool,
        typer.Option(
            "--chunked",
            help="Cut documents as indexing does; a document counts by its best passage.",
        ),
    ] = False,
    format: Annotated[
        ReportFormat,
        typer.Option("--format", "-f", help="Tables for people, or one JSON document."),
    ] = "table",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw quality against time: .png, .svg, .pdf."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep vectors here for the next evaluation."),
    ] = None,
    device: DeviceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Measure how well a model finds, on judged sets."""
    from indexer.cli.evaluate_progress import EvaluationDisplay
    from indexer.evaluation.plan import EvaluationPlan, asks_model
    from indexer.evaluation.plot import check_plot_file, write_plot
    from indexer.evaluation.sts import load_sts
    from indexer.evaluation.study import Study, read_sets

    session = session_of(context)
    session.terminal.quiet = quiet
    settings = session.load({"model": model, "device": device}).settings
    if collection is not None:
        others = {
            "DIR": sets, "--model": model, "--mode": mode, "--baseline": baseline,
            "--matrix": matrix, "--chunked": chunked, "--plot": plot, "--cache": cache,
            "--doc-steps": doc_steps != "same",
        }  # fmt: skip
        for name, value in others.items():
            if value:
                raise UsageError(f"{name} is of judged sets; a collection is measured as it stands")
        evaluate_collection(
            collection, judgements, split, steps, settings, session, as_json=format == "json"
        )
        return
    if not sets or judgements is not None:
        raise UsageError("give judged sets, or --collection NAME to measure by its judgements")
    folders = [path for path in sets if not path.is_file()]
    chosen = _modes(mode)
    named = _baselines(baseline or [])
    is_asked = len(folders) < len(sets) or asks_model(chosen, named, matrix=matrix)
    plan = EvaluationPlan(
        steps=_steps(steps, doc_steps, settings) if is_asked else (),
        document_steps=_document_steps(doc_steps),
        modes=chosen,
        baselines=named,
        matrix=matrix,
        chunked=chunked,
    )
    if plot is not None:
        check_plot_file(plot)
    judged = read_sets(folders, split=split)
    pairs = [load_sts(path) for path in sets if path.is_file()]
    model_facts = embedder.model_info(settings.model) if is_asked or chunked else None
    with EvaluationDisplay(session.terminal) as display:
        report = Study(
            plan,
            _load(settings, session) if is_asked else None,
            tokenizer_file=None if model_facts is None else model_facts.tokenizer_file,
            cache=cache,
            variant=f"{settings.device} {settings.dtype}",
            on_progress=display.update,
        ).run(judged, pairs)
    if plot is not None:
        write_plot(report, plot)
    if format == "json":
        write_json(report.as_dict())
    else:
        _print(report, session)


def _steps(text: str | None, doc_steps: str, settings: Settings) -> tuple[int, ...]:
    from indexer.evaluation.plan import steps_of_model

    asked = None if text is None else [_number(part, "--steps") for part in text.split(",")]
    info = embedder.model_info(settings.model)
    return steps_of_model(asked, info, document_steps=_document_steps(doc_steps))


def _modes(names: Sequence[str] | None) -> tuple[Mode, ...]:
    from indexer.searching.results import MODES

    chosen = MODES if names is None else names
    return tuple(_one_of(MODES, name, "--mode") for name in dict.fromkeys(chosen))


def _baselines(names: Sequence[str]) -> tuple[Baseline, ...]:
    from indexer.evaluation.plan import BASELINES

    return tuple(_one_of(BASELINES, name, "--baseline") for name in dict.fromkeys(names))


def _one_of(known: Sequence[NameT], name: str, option: str) -> NameT:
    for candidate in known:
        if candidate == name:
            return candidate
    raise UsageError(f"{option} is {name!r}; choose from {', '.join(known)}.")


def _document_steps(text: str) -> int | None:
    return None if text == "same" else _number(text, "--doc-steps")


def _number(text: str, option: str) -> int:
    if not text.strip().isdecimal():
        raise UsageError(f"{option} holds {text!r}; expected whole numbers such as 0,1,5,20.")
    return int(text)


def _load(settings: Settings, session: Session) -> Embedder:
    with session.terminal.status(f"Loading {settings.model}"):
        return embedder.load_embedder(settings.model, device=settings.device, dtype=settings.dtype)


def _print(report: EvaluationReport, session: Session) -> None:
    from indexer.evaluation.report import tables

    for number, table in enumerate(tables(report)):
        if number:
            session.terminal.line("")
        session.terminal.line((table.title, "bold"))
        session.terminal.columns(table.header, table.rows, right=table.header[1:])
    session.terminal.line("")
    for note in report.notes:
        session.terminal.line((note, "dim"))
