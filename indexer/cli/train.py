"""``gircse train``: make the refinement steps of a model better, from pairs of texts."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.cli import train_corpus
from indexer.cli import train_options as options
from indexer.cli.boundary import ExitCode
from indexer.cli.interrupt import StopOnSignal
from indexer.cli.options import DeviceOption, FormatOption, QuietOption, epilog
from indexer.cli.session import session_of
from indexer.cli.terminal import Terminal, write_json
from indexer.cli.train_progress import TrainingDisplay
from indexer.errors import UsageError
from indexer.wording import count_text, duration_text

if TYPE_CHECKING:
    from indexer.training import TrainingReport

__all__ = ["EPILOG", "train"]

EPILOG = epilog(
    "gircse train pairs.jsonl --out my-model",
    "gircse train data/*.jsonl.gz --out my-model --updates 3000 --average 0.99 --distil 0.3",
    "gircse train data/*.jsonl.gz --out my-model --updates 3000 --average 0.99 --distil 0.3"
    " --resume",
    "gircse train --on-corpus work --out work-model",
    "gircse train --on-corpus work --out work-model --updates 150",
    "gircse search beans --model my-model --collection trained",
    after=[
        "A line of a file is a JSON object with query and pos, optionally neg and source.",
        "Ctrl-C ends the run after a checkpoint; --resume goes on from the latest one, also after a"
        " kill, to the same result.",
        "Several GPUs: accelerate launch -m indexer.cli train ...",
    ],
)

# Options whose flags hold text that has to be taken apart, and those that are no part of a run.
_PARSED = ("source_weights", "conventions", "leave_out")
_OTHERS = (
    "pairs",
    "out",
    "resume",
    "format",
    "quiet",
    "on_corpus",
    "corpus_pairs",
    "query_writer",
    "mine",
)


def train(  # noqa: PLR0913 - each argument is a flag of the command
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write the model to this folder.")],
    pairs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PAIRS]...", help="Files of pairs, .jsonl or .jsonl.gz."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Start from this model: a registered name, a folder or a hub id.",
            show_default="the one of the settings, or the collection's",
        ),
    ] = None,
    on_corpus: train_corpus.OnCorpus = None,
    corpus_pairs: train_corpus.CorpusPairs = None,
    query_writer: train_corpus.QueryWriter = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    steps: options.Steps = None,
    updates: options.Updates = None,
    seed: options.Seed = None,
    device: DeviceOption = None,
    dtype: options.DType = None,
    checkpoint_every: options.CheckpointEvery = None,
    forward_tokens: options.ForwardTokens = None,
    batch_size: options.BatchSize = None,
    block_size: options.BlockSize = None,
    accumulation: options.Accumulation = None,
    max_length: options.MaxLength = None,
    hard_negatives: options.HardNegatives = None,
    mine: options.Mine = None,
    leave_out: options.LeaveOut = None,
    source_weights: options.SourceWeight = None,
    source_exponent: options.SourceExponent = None,
    source_cap: options.SourceCap = None,
    learning_rate: options.LearningRate = None,
    other_rate: options.OtherRate = None,
    schedule: options.Schedule = None,
    warmup: options.Warmup = None,
    weight_decay: options.WeightDecay = None,
    clip_norm: options.ClipNorm = None,
    average_decay: options.AverageDecay = None,
    rank: options.Rank = None,
    alpha: options.Alpha = None,
    dropout: options.Dropout = None,
    step_embeddings: options.StepEmbeddings = None,
    query_embedding: options.QueryEmbedding = None,
    readout: options.Readout = None,
    reading: options.Reading = None,
    head_words: options.HeadWords = None,
    conventions: options.Convention = None,
    temperature: options.Temperature = None,
    symmetric: options.Symmetric = None,
    regulariser_weight: options.RegulariserWeight = None,
    regularise_start: options.RegulariseStart = None,
    cross_step_weight: options.CrossStepWeight = None,
    cross_step_pairs: options.CrossStepPairs = None,
    cross_step_zero: options.CrossStepZero = None,
    stagewise: options.Stagewise = None,
    distillation_weight: options.DistillationWeight = None,
    distillation_temperature: options.DistillationTemperature = None,
    teacher: options.Teacher = None,
    teacher_dense_weight: options.TeacherDenseWeight = None,
    anchor_weight: options.AnchorWeight = None,
    anchor_rare: options.AnchorRare = None,
    anchor_lexical: options.AnchorLexical = None,
    anchor_length: options.AnchorLength = None,
    anchor_whitening: options.AnchorWhitening = None,
    anchor_steps: options.AnchorSteps = None,
    format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Train a model's refinement steps on pairs of queries and passages, or on your own documents.

    The folder then holds a model like any other: give it to --model.
    """
    session = session_of(context)
    session.terminal.quiet = quiet
    settings = session.load({"model": model, "device": device}).settings
    start, files = settings.model, list(pairs or ())
    defaults: Mapping[str, Any] = {}
    if on_corpus is not None:
        from indexer.embedder import model_info

        with session.open(on_corpus) as collection:
            start = model or collection.config.model
            counts = updates is not None or corpus_pairs is not None
            by_pairs = counts or query_writer or files or resume
            if not by_pairs and train_corpus.can_fit(model_info(start)):
                train_corpus.check_fit_options(context)
                fitted = train_corpus.fit(session, collection, start, out, device=settings.device)
                train_corpus.print_fit(session.terminal, fitted, format)
                train_corpus.print_next_step(session, on_corpus, out)
                return
        defaults = train_corpus.corpus_defaults(model_info(start))
    elif not files or query_writer or corpus_pairs is not None:
        raise UsageError(
            "name files of pairs to train on, or a collection: gircse train --on-corpus COLLECTION"
            " --out DIR (--query-writer and --corpus-pairs belong to --on-corpus)"
        )
    from indexer.training import check_run_folder, mine_negatives, train_model, training_config

    given = {**defaults, **_given(context.params), "model": start, "device": settings.device}
    config = training_config(given)
    check_run_folder(out, resume=resume)  # before pairs are made for it, which takes minutes
    if on_corpus is not None:
        with session.open(on_corpus) as collection:
            files.append(
                train_corpus.corpus_pair_file(
                    session,
                    collection,
                    out,
                    pairs=corpus_pairs,
                    query_writer=query_writer,
                    device=settings.device,
                    seed=seed,
                    resume=resume,
                )
            )
    if mine is not None:
        with session.terminal.status("Looking for hard negatives"):
            files = mine_negatives(
                files,
                out.resolve().with_name(f"{out.resolve().name}-mined"),
                model=start,
                negatives=mine,
                leave_out=config.leave_out,
                device=settings.device,
            )
        # What was to be left out is not in the new files.
        config = training_config({**given, "leave_out": ()})
    with StopOnSignal(session.terminal) as stop, TrainingDisplay(session.terminal) as display:
        report = train_model(
            config,
            files,
            out,
            resume=resume,
            command=shlex.join(["gircse", *sys.argv[1:]]),
            on_progress=display.update,
            should_stop=lambda: stop.requested,
        )
    if format == "json":
        write_json(_as_dict(report))
    else:
        _print(session.terminal, report)
    if on_corpus is not None and report.finished:
        train_corpus.print_next_step(session, on_corpus, out)
    if not report.finished:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the configuration that were given, after which the options are named."""
    given = {
        name: value
        for name, value in parameters.items()
        if value is not None and name not in (*_PARSED, *_OTHERS)
    }
    given["leave_out"] = tuple(parameters["leave_out"] or ())
    given["source_weights"] = tuple(
        (name, _number(value, name))
        for name, value in _assignments(parameters["source_weights"] or ())
    )
    given["conventions"] = tuple(
        (name, _json_value(value)) for name, value in _assignments(parameters["conventions"] or ())
    )
    return given


def _assignments(texts: Sequence[str]) -> list[tuple[str, str]]:
    parts = [text.partition("=") for text in texts]
    wrong = [text for text, part in zip(texts, parts, strict=True) if not (part[0] and part[1])]
    if wrong:
        raise UsageError(f"{wrong[0]!r} is no NAME=VALUE.")
    return [(name, value) for name, _, value in parts]


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"The weight of the source {name!r} is {text!r}, no number.") from error


def _json_value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:  # a word needs no quotes
        return text


def _print(terminal: Terminal, report: TrainingReport) -> None:
    terminal.line(
        f"{count_text(report.updates, 'update')}, {count_text(report.examples, 'pair')},"
        f" {duration_text(report.seconds)}."
    )
    losses = "  ".join(f"{step}: {loss:.4f}" for step, loss in report.step_losses.items())
    terminal.line(f"Loss by steps at the end  {losses}")
    if report.finished:
        terminal.line(f"The model is in {report.folder}.")
    else:
        terminal.note(f"Stopped before the end: go on with --resume --out {report.folder}.")


def _as_dict(report: TrainingReport) -> dict[str, object]:
    return {
        "folder": str(report.folder),
        "finished": report.finished,
        "updates": report.updates,
        "examples": report.examples,
        "seconds": report.seconds,
        "loss": report.loss,
        "step_losses": {str(step): loss for step, loss in report.step_losses.items()},
        "config": report.config.as_dict(),
        "data": [
            {"name": file.name, "sha256": file.sha256, "pairs": file.pairs} for file in report.data
        ],
    }
