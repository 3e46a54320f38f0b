"""``gircse index``: read files, embed what is new, and account for every one of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from indexer.cli.boundary import ExitCode
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
    FormatOption,
    ModelOption,
    QuietOption,
    StepsOption,
    epilog,
)
from indexer.cli.progress import ProgressDisplay, progress_display
from indexer.cli.ray_engine import (
    EngineOption,
    Indexing,
    RayAddressOption,
    RayShardsOption,
    chosen_ray,
    ray_indexing,
)
from indexer.cli.report import print_report, report_as_dict
from indexer.cli.session import Session, session_of
from indexer.cli.terminal import Terminal, write_json
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.collections.library import Collection
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.indexing.index_report import FileOutcome, IndexOptions, IndexReport
    from indexer.settings import LoadedSettings, Settings
    from indexer.storage.segments import VectorType

__all__ = ["EPILOG", "index", "open_target"]

EPILOG = epilog(
    "gircse index ~/Documents",
    "gircse index papers notes -c work --include '*.pdf' --include '*.md'",
    "gircse index ~/Documents --prune --dry-run",
    "gircse index ~/Documents --retry-failed",
    "gircse index /archive -c archive --jobs 8 --max-memory 8192 --devices cuda:0,cuda:1",
    "gircse index /archive -c archive --vectors fp16",
    "gircse index /mnt/archive -c archive --engine ray --ray-address auto",
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
    devices: DevicesOption = None,
    vectors: Annotated[
        Literal["fp32", "fp16"] | None,
        typer.Option(
            help="How a new collection keeps its vectors; fp16 takes half the room and moves"
            " scores by some 0.0001 at most.",
            show_default="fp32",
        ),
    ] = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
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
    jobs: JobsOption = None,
    batch_tokens: BatchTokensOption = None,
    timeout_s: TimeoutOption = None,
    memory_mb: MemoryOption = None,
    max_memory: MaxMemoryOption = None,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    ray_shards: RayShardsOption = None,
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
            "max_memory_mb": max_memory,
            "batch_tokens": batch_tokens,
        }
    )
    several = checked_devices(devices, device)
    ray = chosen_ray(engine, address=ray_address, shards=ray_shards, devices=devices, loaded=loaded)
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
        lanes=max(1, len(several)),
    )
    from indexer.indexing.discovery import discover

    # Bad paths and patterns are refused at this call, before a collection is made for them.
    discover(paths, include=options.include, exclude=options.exclude, home=loaded.settings.home)
    changes: list[FileOutcome] = []
    with (
        StopOnSignal(session.terminal) as stop,
        open_target(session, loaded, dry_run=dry_run, vectors=vectors) as target,
        ExitStack() as stack,
    ):
        if ray is None or dry_run:
            load = document_embedder(target.config.model, loaded.settings, several, stack)
            indexing = _local_indexing(target, load)
        else:
            indexing = ray_indexing(target, ray, loaded, session.terminal, stack)
        report = _run(
            indexing,
            paths,
            options,
            loaded.settings,
            session.terminal,
            stop,
            # of millions of files, only those are kept that somebody asked to see
            changes if dry_run or format == "json" else None,
        )
    name = loaded.settings.collection
    if format == "json":
        write_json(report_as_dict(report, changes, collection=name))
    else:
        print_report(session.terminal, report, changes, collection=name)
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if report.failed:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _options(settings: Settings, selection: _Selection, *, lanes: int) -> IndexOptions:
    from indexer.indexing.pipeline import IndexOptions

    return IndexOptions(
        jobs=settings.jobs,
        max_memory_mb=settings.max_memory_mb,
        lanes=lanes,
        include=selection.include,
        exclude=selection.exclude,
        prune=selection.prune,
        dry_run=selection.dry_run,
        rehash=selection.rehash,
        retry_failed=selection.retry_failed,
        limits=extraction_limits(settings),
    )


@contextmanager
def open_target(
    session: Session,
    loaded: LoadedSettings,
    *,
    dry_run: bool = False,
    vectors: VectorType | None = None,
) -> Iterator[Collection]:
    """Open the collection or make it; a dry run makes a new one where nobody will see it."""
    from indexer.collections.library import Library

    settings = loaded.settings
    library = session.library(loaded)
    with ExitStack() as stack:
        if settings.collection in library.names():
            target = stack.enter_context(library.open(settings.collection))
            _check_model(target, loaded, session)
            _check_vectors(target, vectors)
        else:
            if dry_run:
                scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="gircse-"))
                library = Library(Path(scratch))
            target = stack.enter_context(
                library.create(
                    settings.collection,
                    model=settings.model,
                    steps=settings.steps,
                    vectors=vectors or "fp32",
                )
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


def _check_vectors(target: Collection, vectors: VectorType | None) -> None:
    if vectors not in (None, target.config.vectors):
        raise UsageError(
            f"collection {target.name!r} keeps its vectors in {target.config.vectors}, not "
            f"{vectors}. Leave --vectors out, or make them anew: "
            f"gircse reindex {target.name} --vectors {vectors}"
        )


def _local_indexing(target: Collection, load: Callable[[], DocumentEmbedder]) -> Indexing:
    """Return what indexes in processes of this machine."""

    def start(display: ProgressDisplay) -> Callable[..., IndexReport]:
        from indexer.indexing.pipeline import index_paths

        def load_and_say() -> DocumentEmbedder:
            display.phase(f"Loading {target.config.model}")
            return load()

        return partial(index_paths, target, embedder=load_and_say)

    return start


def _run(
    indexing: Indexing,
    paths: list[Path],
    options: IndexOptions,
    settings: Settings,
    terminal: Terminal,
    stop: StopOnSignal,
    changes: list[FileOutcome] | None,
) -> IndexReport:
    def note_change(outcome: FileOutcome) -> None:
        if changes is not None and outcome.change != "unchanged":
            changes.append(outcome)

    with progress_display(terminal) as display:
        return indexing(display)(
            paths=paths,
            options=options,
            home=settings.home,  # not the collection's, which a dry run makes elsewhere
            on_progress=display.update,
            on_outcome=note_change,
            should_stop=lambda: stop.requested,
        )
