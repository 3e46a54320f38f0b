"""``gircse reindex``: another index, another store, or other vectors, while searches go on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.indexing_options import (
    BatchTokensOption,
    DevicesOption,
    checked_devices,
    document_embedder,
)
from indexer.cli.interrupt import StopOnSignal
from indexer.cli.options import (
    CollectionOption,
    DeviceOption,
    FormatOption,
    QuietOption,
    epilog,
)
from indexer.cli.reindex_background import detach, request_flags
from indexer.cli.reindex_progress import ReindexDisplay
from indexer.cli.reindex_report import note_text, print_reindex, reindex_as_dict
from indexer.cli.session import Session, session_of
from indexer.cli.terminal import write_json
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.collections.library import Collection
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.reindexing.report import ReindexReport
    from indexer.reindexing.request import ReindexRequest
    from indexer.settings import LoadedSettings

__all__ = ["EPILOG", "reindex"]

EPILOG = epilog(
    "gircse reindex work",
    "gircse reindex work --index auto --budget-ms 20 --budget-mb 500",
    "gircse reindex work --store qdrant",
    "gircse reindex work --steps 8 --background",
    "gircse reindex work --chunk-tokens 120 --dry-run",
    "gircse reindex work --cancel",
    after=[
        "Embedding is paid for once: another index or store is made from the stored vectors, with"
        " no model. Another model, step count or size of chunks embeds every document anew, from"
        " its stored text; stopping at any moment loses nothing, and the next call goes on.",
        "Searches and indexing go on meanwhile, in the generation that was. The new one takes its"
        " place in one step, and gircse collections rollback returns to the old one.",
        "Exit codes: 0 the new generation is live; 1 an error stopped it; 2 wrong usage; 130"
        " stopped or cancelled. gircse status shows how far one in the background is.",
    ],
)

VectorTypeName = Literal["fp32", "fp16"]

_CANCEL_TIMEOUT_S = 120.0


def reindex(  # noqa: PLR0913 - each argument is a flag of the command
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="COLLECTION",
            help="The collection to rebuild.",
            show_default="the one that the settings name, or 'default'",
        ),
    ] = None,
    collection: CollectionOption = None,
    index: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="flat, sqfp16, sq8, hnsw, hnsw_sq8, ivf_sq8, ivf_rabitq; or auto, to choose by"
            " the number of vectors and the budgets.",
            show_default="as it is",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="faiss or qdrant.", show_default="as it is"),
    ] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(metavar="MS", help="With auto: what a search may take in the index."),
    ] = None,
    budget_mb: Annotated[
        float | None,
        typer.Option(metavar="MB", help="With auto: memory that the index may take."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Embed anew with this model: a registered name, a local folder or a hub id.",
            show_default="as it is",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            "-k",
            metavar="K",
            help="Embed anew with so many refinement steps.",
            show_default="as it is, or the new model's own",
        ),
    ] = None,
    chunk_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Cut anew: tokens of a passage at most.", show_default="as it is"
        ),
    ] = None,
    chunk_overlap: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Cut anew: tokens repeated at most where a paragraph is cut.",
            show_default="as it is",
        ),
    ] = None,
    chunk_context: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Cut anew: tokens at most of the title and headings that go with each passage.",
            show_default="as it is",
        ),
    ] = None,
    vectors: Annotated[
        VectorTypeName | None,
        typer.Option(
            help="Keep vectors in this type of number; fp16 takes half the room.",
            show_default="as it is",
        ),
    ] = None,
    device: DeviceOption = None,
    devices: DevicesOption = None,
    batch_tokens: BatchTokensOption = None,
    background: Annotated[
        bool,
        typer.Option("--background", help="Go on by itself, with its output in a log file."),
    ] = False,
    cancel: Annotated[
        bool,
        typer.Option("--cancel", help="Give up the rebuild that runs or was stopped."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
    format: FormatOption = "text",
    quiet: QuietOption = False,
    log: Annotated[
        Path | None, typer.Option(hidden=True, help="Where this process's output goes.")
    ] = None,
) -> None:
    """Rebuild a collection beside itself, and put the result in its place.

    Without options the index is made anew, or a rebuild that was stopped is gone on with.
    """
    from indexer.reindexing.request import IndexWish, ReindexRequest, store_named

    session = session_of(context)
    session.terminal.quiet = quiet
    if name is not None and collection is not None and name != collection:
        raise UsageError(f"two collections are named, {name!r} and {collection!r}; name one")
    loaded = session.load(
        {"collection": name or collection, "device": device, "batch_tokens": batch_tokens}
    )
    several = checked_devices(devices, device)
    request = ReindexRequest(
        wish=IndexWish(
            index=index,
            store=None if store is None else store_named(store),
            budget_ms=budget_ms,
            budget_mb=budget_mb,
        ),
        model=model,
        steps=steps,
        max_tokens=chunk_tokens,
        overlap_tokens=chunk_overlap,
        context_tokens=chunk_context,
        vectors=vectors,
    )
    with session.library(loaded).open(loaded.settings.collection) as target:
        if cancel:
            _refuse_more(request, background=background, dry_run=dry_run)
            _cancel(session, target)
            return
        if dry_run:
            from indexer.reindexing.run import plan_reindex

            report = plan_reindex(target, request)
        elif background:
            detach(session, loaded, target, request, several)
            return
        else:
            report = _run(session, loaded, target, request, several, log)
    if format == "json":
        write_json(reindex_as_dict(report, collection=loaded.settings.collection))
    else:
        print_reindex(session.terminal, report, collection=loaded.settings.collection)
    if report.outcome in ("stopped", "cancelled"):
        raise typer.Exit(ExitCode.INTERRUPTED)


def _run(
    session: Session,
    loaded: LoadedSettings,
    target: Collection,
    request: ReindexRequest,
    devices: tuple[str, ...],
    log: Path | None,
) -> ReindexReport:
    from indexer.reindexing.run import reindex as rebuild

    with (
        StopOnSignal(session.terminal) as stop,
        ReindexDisplay(session.terminal) as display,
        ExitStack() as stack,
    ):

        def load(model: str) -> DocumentEmbedder:
            display.say(f"loading {model}")
            return document_embedder(model, loaded.settings, devices, stack)()

        return rebuild(
            target,
            request,
            embedder=load,
            lanes=max(1, len(devices)),
            on_progress=display.update,
            should_stop=lambda: stop.requested,
            log="" if log is None else str(log),
        )


def _cancel(session: Session, target: Collection) -> None:
    from indexer.reindexing.cancelling import cancel_rebuild
    from indexer.reindexing.rebuild_note import read_note

    note = read_note(target.directory)
    if not cancel_rebuild(target, timeout_s=_CANCEL_TIMEOUT_S):
        session.terminal.note(f"There is no rebuild of {target.name!r} to give up.")
        return
    if note is not None:
        session.terminal.note(note_text(note, collection=target.name))
    session.terminal.line(f"Given up; {target.name!r} is as it was.")


def _refuse_more(request: ReindexRequest, *, background: bool, dry_run: bool) -> None:
    others = [*request_flags(request)]
    others += [
        flag for flag, on in {"--background": background, "--dry-run": dry_run}.items() if on
    ]
    if others:
        raise UsageError(f"--cancel goes alone; leave {' '.join(others)} out")
