"""``gircse watch``: keep a collection in step with folders until Ctrl-C."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.index import open_target
from indexer.cli.indexing_options import (
    BatchTokensOption,
    DevicesOption,
    ExcludeOption,
    IncludeOption,
    JobsOption,
    MaxMemoryOption,
    MemoryOption,
    TimeoutOption,
    checked_devices,
    document_embedder,
    extraction_limits,
)
from indexer.cli.interrupt import StopOnSignal
from indexer.cli.options import (
    CollectionOption,
    DeviceOption,
    ModelOption,
    QuietOption,
    StepsOption,
    epilog,
)
from indexer.cli.session import session_of
from indexer.cli.terminal import Terminal, one_line
from indexer.wording import count_text

if TYPE_CHECKING:
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.indexing.index_report import FileOutcome, IndexProgress, IndexReport

__all__ = ["EPILOG", "watch"]

EPILOG = epilog(
    "gircse watch ~/Documents",
    "gircse watch papers notes -c work --include '*.pdf' --include '*.md'",
    "gircse watch /mnt/share --poll --rescan 10",
    "gircse watch ~/Documents --keep-deleted",
    after=[
        "Looks at everything first, so that what changed while it was not running is noticed too;"
        " then at what changes. Documents whose files are deleted are removed, but not where a"
        " whole folder is suddenly empty or gone, as when a drive is not mounted.",
        "Ctrl-C ends it after the current batch. Searches and other commands work meanwhile; other"
        " commands that write wait for nothing but the batch at hand, and it waits for them.",
        "Exit codes: 0 ended as asked; 1 an error ended it; 2 wrong usage; 4 the collection was"
        " made by another model or version.",
    ],
)


def watch(  # noqa: PLR0913 - each argument is a flag of the command
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Files and folders to keep in step.")
    ],
    collection: CollectionOption = None,
    model: ModelOption = None,
    steps: StepsOption = None,
    device: DeviceOption = None,
    devices: DevicesOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    keep_deleted: Annotated[
        bool,
        typer.Option("--keep-deleted", help="Keep documents whose files were deleted."),
    ] = False,
    settle: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Read a file when it has not changed for so long."),
    ] = 1.0,
    rescan: Annotated[
        float, typer.Option(metavar="MINUTES", help="Look at everything again after so long.")
    ] = 60.0,
    poll: Annotated[
        bool,
        typer.Option("--poll", help="Look for changes, on network drives that report none."),
    ] = False,
    jobs: JobsOption = None,
    batch_tokens: BatchTokensOption = None,
    timeout_s: TimeoutOption = None,
    memory_mb: MemoryOption = None,
    max_memory: MaxMemoryOption = None,
    quiet: QuietOption = False,
) -> None:
    """Keep a collection in step with files and folders: what changes is indexed as it changes."""
    from indexer.indexing.discovery import discover
    from indexer.indexing.index_report import IndexOptions
    from indexer.indexing.watching import FolderWatch, WatchOptions

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
            "max_memory_mb": max_memory,
            "batch_tokens": batch_tokens,
        }
    )
    settings = loaded.settings
    several = checked_devices(devices, device)
    options = WatchOptions(
        IndexOptions(
            jobs=settings.jobs,
            max_memory_mb=settings.max_memory_mb,
            lanes=max(1, len(several)),
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            prune=not keep_deleted,
            limits=extraction_limits(settings),
        ),
        settle_s=settle,
        rescan_s=rescan * 60,
        poll=poll,
    )
    # Bad paths and patterns are refused at this call, before a collection is made for them.
    discover(paths, include=options.index.include, exclude=options.index.exclude)
    with (
        StopOnSignal(session.terminal) as stop,
        open_target(session, loaded) as target,
        ExitStack() as stack,
    ):

        def load(model: str) -> DocumentEmbedder:
            stack.close()  # the processes of the model before, if there are any
            return document_embedder(model, settings, several, stack)()

        FolderWatch(
            target,
            paths,
            embedder=load,
            options=options,
            home=settings.home,
            listener=_Narrator(session.terminal),
            should_stop=lambda: stop.requested,
        ).run()
    raise typer.Exit(ExitCode.OK)


class _Narrator:
    """Prints a line for everything that changed, and why something could not be read."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._is_first = True
        self._failed: dict[str, str] = {}

    def said(self, message: str) -> None:
        """Warn."""
        self._terminal.warn(f"{_clock()} {message}")

    def progressed(self, progress: IndexProgress) -> None:
        """Say nothing: each file is told of when it is done."""

    def settled(self, outcome: FileOutcome) -> None:
        """Print what became of a file, unless nothing did."""
        what = outcome.change or outcome.state
        if what in ("unchanged", "missing"):
            self._failed.pop(outcome.source, None)
            return
        if outcome.change is None:
            if self._failed.get(outcome.source) == outcome.message:
                return  # said before
            self._failed[outcome.source] = outcome.message
        detail = f" ({count_text(outcome.chunks, 'chunk')})" if outcome.chunks else ""
        self._terminal.line(f"{_clock()} {what:>9}  ", one_line(outcome.source) + detail)
        if outcome.change is None and outcome.message:
            hint = f"; {outcome.hint}" if outcome.hint else ""
            self._terminal.line(" " * 20, one_line(outcome.message + hint))

    def finished(self, report: IndexReport) -> None:
        """Say how the first look ended, and what else there is to say of any."""
        for note in report.notes:
            self._terminal.note(f"{_clock()} {note}")
        if self._is_first:
            self._is_first = False
            self._terminal.note(f"{_clock()} {report.summary()}; watching, Ctrl-C ends it")


def _clock() -> str:
    return time.strftime("%H:%M:%S")
