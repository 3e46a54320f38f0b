"""The part of ``gircse train`` that makes pairs of a collection's own documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.cli.terminal import Terminal, write_json
from indexer.errors import UsageError
from indexer.wording import count_text

if TYPE_CHECKING:
    from indexer.adaptation.pair_making import PairReport
    from indexer.cli.session import Session
    from indexer.collections.collection import Collection
    from indexer.embedder import ModelInfo
    from indexer.training import FitReport

__all__ = [
    "can_fit",
    "check_fit_options",
    "corpus_defaults",
    "corpus_pair_file",
    "fit",
    "print_fit",
    "print_next_step",
]

_CORPUS = "Documents without labels"

OnCorpus = Annotated[
    str | None,
    typer.Option(
        "--on-corpus",
        metavar="COLLECTION",
        help="Adapt the model to this collection's documents: by the rarity and the company of "
        "their words, in seconds; with --updates by training on pairs made of their own text.",
        rich_help_panel=_CORPUS,
    ),
]
CorpusPairs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Pairs to make at most.",
        show_default="6000",
        rich_help_panel=_CORPUS,
    ),
]
QueryWriter = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Let this causal language model (a folder or a pulled hub id) write queries as well.",
        rich_help_panel=_CORPUS,
    ),
]

_OF_FIT = ("out", "model", "on_corpus", "resume", "device", "format", "quiet")
_DEFAULTS: Mapping[str, Any] = {
    "updates": 150,
    # whole chunks: what a query asks for may stand at their end
    "max_length": 256,
}
_ANCHORED: Mapping[str, Any] = {
    "learning_rate": 5e-4,
    "average_decay": 0.97,
    "symmetric": False,
    "temperature": 0.05,
    "anchor_weight": 250.0,
    "anchor_rare": 0.7,
    "anchor_lexical": 0.6,
    "anchor_length": 150,
    "anchor_whitening": 0.2,
    "anchor_steps": 5,
}
_DISTILLED: Mapping[str, Any] = {
    "teacher": "hybrid",
    "teacher_dense_weight": 0.5,
    "distillation_weight": 0.5,
}


def corpus_defaults(start: ModelInfo) -> Mapping[str, Any]:
    """Return what training on a collection wants where a run says nothing.

    Pairs made of the documents are too few and too unlike real queries to be followed alone. What
    is rare and what is common in the collection says more: the anchor, where the model can have
    one; else the model's own similarities mixed with BM25 hold it back.
    """
    return {**_DEFAULTS, **(_ANCHORED if _sums_residuals(start) else _DISTILLED)}


def can_fit(start: ModelInfo) -> bool:
    """Return whether the model can be fitted to a collection in closed form."""
    return _sums_residuals(start) and start.max_steps > start.min_steps


def _sums_residuals(start: ModelInfo) -> bool:
    return "residual_sum" in start.fingerprint().get("pooling", "")


def check_fit_options(context: typer.Context) -> None:
    """Check that nothing was asked for that the fit in closed form cannot do.

    Raises:
        UsageError: something was.
    """
    given = {
        name
        for name, value in context.params.items()
        if value not in (None, [], ()) and name not in _OF_FIT
    }
    flags = [option.opts[0] for option in context.command.params if option.name in given]
    if flags:
        raise UsageError(
            f"without --updates the model is fitted in closed form, where {', '.join(flags)} would "
            "mean nothing; leave it out, or add --updates to train on pairs made of the documents"
        )


def fit(
    session: Session, collection: Collection, model: str, out: Path, *, device: str | None
) -> FitReport:
    """Fit a model to a collection's passages.

    Raises:
        UsageError: the collection holds no text.
        ModelError: the model cannot be used, or the passages are too few.
    """
    from indexer.adaptation.mix import PairMix
    from indexer.adaptation.passages import read_passages
    from indexer.training import fit_model

    limits = PairMix()
    with session.terminal.status(f"Fitting {model} to {collection.name}"):
        passages = read_passages(collection.store, limit=limits.passages, seed=limits.seed)
        texts = [passage.full_text for passage in passages]
        if not texts:
            raise UsageError(
                f"collection {collection.name!r} holds no passages to fit a model to; index "
                "documents first"
            )
        return fit_model(
            model,
            texts,
            out,
            device=device,
            on_progress=lambda doing: session.terminal.note(f"{doing} ..."),
        )


def corpus_pair_file(
    session: Session,
    collection: Collection,
    out: Path,
    *,
    pairs: int | None,
    query_writer: str | None,
    device: str | None,
    seed: int | None,
    resume: bool,
) -> Path:
    """Make the pairs of a run, beside the folder of its model; a resumed run keeps what it has.

    Raises:
        UsageError: the collection holds too little text.
        ModelError: the collection's model or the language model cannot be used.
    """
    file = out.parent / f"{out.name}-pairs.jsonl.gz"
    if resume and file.is_file():
        return file
    from indexer.adaptation.mix import PairMix
    from indexer.adaptation.pair_making import make_pairs
    from indexer.embedder import load_embedder

    mix = PairMix(pairs=PairMix().pairs if pairs is None else pairs, seed=seed or 0)
    writer = None
    if query_writer is not None:
        from indexer.training import load_query_writer

        with session.terminal.status(f"Loading {query_writer}"):
            writer = load_query_writer(query_writer, device=device, seed=mix.seed)
    with session.terminal.status(f"Making pairs of {collection.name}"):
        embedder = load_embedder(collection.config.model, device=device)
        report = make_pairs(collection, file, embedder=embedder, mix=mix, writer=writer)
    _tell(session, report)
    return file


def print_fit(terminal: Terminal, report: FitReport, format: str) -> None:
    """Say what the model was fitted to, and where it is."""
    if format == "json":
        write_json({**asdict(report), "folder": str(report.folder)})
        return
    passages, pieces = count_text(report.texts, "passage"), count_text(report.words, "word piece")
    terminal.line(f"Fitted to {passages} and {pieces}.")
    terminal.line(f"The model is in {report.folder}.")


def print_next_step(session: Session, collection: str, model: Path) -> None:
    """Say how to search with the adapted model: its vectors fit no collection made before."""
    session.terminal.note(
        f"Collection {collection!r} still has the vectors of its own model. To search with the new "
        "one, rebuild it; the way back stays open:\n"
        f"  gircse reindex {collection} --model {model}\n"
        f"  gircse collections rollback {collection}"
    )


def _tell(session: Session, report: PairReport) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds.items())
    session.terminal.note(
        f"{count_text(report.pairs, 'pair')} of {count_text(report.passages, 'passage')} ({kinds})"
        f" in {report.file}; the file holds text of your documents."
    )
    if report.writing is not None:
        written = report.writing
        dropped = ", ".join(f"{count} {fault}" for fault, count in written.dropped.most_common())
        session.terminal.note(
            f"{written.kept:,} of {written.written:,} written queries kept"
            + (f"; left out for: {dropped}." if dropped else ".")
        )
