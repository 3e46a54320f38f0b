"""``gircse index``: read files, embed what is new, and account for every one of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.interrupt import StopOnSignal
from indexer.cli.options import (
    CollectionOption,
    DeviceOption,
    FormatOption,
    ModelOption,
    QuietOption,
    StepsOption,
    epilog,
)
from indexer.cli.progress import progress_display
from indexer.cli.report import print_report, report_as_dict
from indexer.cli.session import Session, session_of
from indexer.cli.terminal import write_json

if TYPE_CHECKING:
    from indexer.embedder import Embedder
    from indexer.index_report import FileOutcome, IndexOptions, IndexReport
    from indexer.library import Collection
    from indexer.settings import LoadedSettings, Settings

__all__ = ["EPILOG", "index"]

EPILOG = epilog(
    "gircse index ~/Documents",
    "gircse index papers notes -c work --include '*.pdf' --include '*.md'",
    "gircse index ~/Documents --prune --dry-run",
    "gircse index ~/Documents --retry-failed",
    after=[
        "Only new and changed files are read again. Stopping it at any moment loses nothing: the"
        " next run goes on where this one was.",
        "Exit codes: 0 all files are accounted for; 1 an error stopped the run; 2 wrong usage; 3"
        " some files failed; 4 the collection was made by another model or version; 130"
        " interrupted.",
    ],
)


@dataclass(frozen=True, slots=True)
class _Selection:
    """The flags that say which files a run is about and what it does with them."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    prune: bool
    dry_run: bool
    rehash: bool
    retry_failed: bool


def index(  # noqa: PLR0913 - each argument is a flag of the command
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Files and folders to index.")
    ],
    collection: CollectionOption = None,
    model: ModelOption = None,
    steps: StepsOption = None,
    device: DeviceOption = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Take only files that match; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files that match; may be repeated."),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Remove documents whose files are gone from the given folders."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    rehash: Annotated[
        bool,
        typer.Option("--rehash", help="Compare contents even where size and date are the same."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try files again that failed before.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", metavar="N", help="Processes that read files.", show_default="by cores"
        ),
    ] = None,
    timeout_s: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Give up on a file after this.", show_default="120"),
    ] = None,
    memory_mb: Annotated[
        int | None,
        typer.Option(
            metavar="MIB", help="Give up on a file that needs more memory.", show_default="1024"
        ),
    ] = None,
    format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Index files and folders into a collection, so that they can be searched.

    Every file ends as ready, without text, skipped or failed; each failure is listed with its cause
    and what to do about it.
    """
    session = session_of(context)
    session.terminal.quiet = quiet
    loaded = session.load(
        {
            "collection": collection,
            "model": model,
            "steps": steps,
            "device": device,
            "jobs": jobs,
            "timeout_s": timeout_s,
            "memory_mb": memory_mb,
        }
    )
    options = _options(
        loaded.settings,
        _Selection(
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            prune=prune,
            dry_run=dry_run,
            rehash=rehash,
            retry_failed=retry_failed,
        ),
    )
    from indexer.discovery import discover

    # Bad paths and patterns are refused at this call, before a collection is made for them.
    discover(paths, include=options.include, exclude=options.exclude, home=loaded.settings.home)
    changes: list[FileOutcome] = []
    with (
        StopOnSignal(session.terminal) as stop,
        _target(session, loaded, dry_run=dry_run) as target,
    ):
        report = _run(target, paths, options, loaded.settings, session, stop, changes)
    name = loaded.settings.collection
    if format == "json":
        write_json(report_as_dict(report, changes, collection=name))
    else:
        print_report(session.terminal, report, changes, collection=name)
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if report.failed:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _options(settings: Settings, selection: _Selection) -> IndexOptions:
    from indexer.extraction import ExtractionLimits
    from indexer.pipeline import IndexOptions

    return IndexOptions(
        jobs=settings.jobs,
        include=selection.include,
        exclude=selection.exclude,
        prune=selection.prune,
        dry_run=selection.dry_run,
        rehash=selection.rehash,
        retry_failed=selection.retry_failed,
        limits=ExtractionLimits(
            timeout_s=settings.timeout_s, memory_bytes=settings.memory_mb * 1024 * 1024
        ),
    )


@contextmanager
def _target(session: Session, loaded: LoadedSettings, *, dry_run: bool) -> Iterator[Collection]:
    """Open the collection or make it; a dry run makes a new one where nobody will see it."""
    from indexer.library import Library

    settings = loaded.settings
    library = session.library(loaded)
    with ExitStack() as stack:
        if settings.collection in library.names():
            target = stack.enter_context(library.open(settings.collection))
            _check_model(target, loaded, session)
        else:
            if dry_run:
                scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="gircse-"))
                library = Library(Path(scratch))
            target = stack.enter_context(
                library.create(settings.collection, model=settings.model, steps=settings.steps)
            )
        yield target


def _check_model(target: Collection, loaded: LoadedSettings, session: Session) -> None:
    """Refuse to mix what was asked for here and now with what the collection was made by."""
    from indexer.embedder import model_info

    settings = loaded.settings
    asked = loaded.is_explicit("model")
    target.check_model(
        model_info(settings.model) if asked else target.model_info(),
        settings.steps if loaded.is_explicit("steps") else None,
    )
    if not asked and settings.model != target.config.model:
        session.terminal.note(
            f"The collection {target.name!r} stays with its own model {target.config.model};"
            f" {settings.model} (from {loaded.origins['model']}) is for new collections."
        )


def _run(
    target: Collection,
    paths: list[Path],
    options: IndexOptions,
    settings: Settings,
    session: Session,
    stop: StopOnSignal,
    changes: list[FileOutcome],
) -> IndexReport:
    from indexer.embedder import load_embedder
    from indexer.pipeline import index_paths

    def note_change(outcome: FileOutcome) -> None:
        if outcome.change != "unchanged":
            changes.append(outcome)

    with progress_display(session.terminal) as display:

        def load() -> Embedder:
            display.phase(f"Loading {target.config.model}")
            return load_embedder(target.config.model, device=settings.device, dtype=settings.dtype)

        return index_paths(
            target,
            paths,
            embedder=load,
            options=options,
            home=settings.home,  # not the collection's, which a dry run makes elsewhere
            on_progress=display.update,
            on_outcome=note_change,
            should_stop=lambda: stop.requested,
        )
