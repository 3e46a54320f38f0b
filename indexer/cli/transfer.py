"""``gircse export`` and ``gircse import``: a collection as one file, to another machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.options import FormatOption, QuietOption, epilog
from indexer.cli.session import session_of
from indexer.cli.stage import Stage
from indexer.cli.target import CollectionArgument
from indexer.cli.terminal import Terminal, one_line, write_json
from indexer.wording import count_text, size_text

if TYPE_CHECKING:
    from indexer.transfer.importing import ImportReport

__all__ = ["EXPORT_EPILOG", "IMPORT_EPILOG", "export", "import_"]

EXPORT_EPILOG = epilog(
    "gircse export work work.zip",
    "gircse export work /media/backup/work.zip --force",
    "gircse export work for-others.zip --no-judgements",
    after=[
        "The file has documents, words, vectors and the ledger as they are at one moment, with a"
        " manifest of sizes and checksums; searching and indexing may go on meanwhile. Judged"
        " queries go along, unless told not to. Neither the files that the collection was made"
        " from nor the model are in it.",
        "Exit codes: 0 written; 1 an error stopped it, and nothing was; 2 wrong usage.",
    ],
)
IMPORT_EPILOG = epilog(
    "gircse import work.zip",
    "gircse import work.zip --name colleague",
    after=[
        "Nothing in the file is trusted: sizes and checksums are compared, its database is taken"
        " row by row into a new one, and the index is built anew. The collection appears whole or"
        " not at all. Searching it by meaning needs its model: see gircse model list.",
        "Exit codes: 0 imported; 1 the file is damaged or makes no sense, or the disk is full; 2"
        " wrong usage.",
    ],
)


def export(
    context: typer.Context,
    name: CollectionArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write (ZIP).")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there already.")
    ] = False,
    judgements: Annotated[
        bool,
        typer.Option(
            "--judgements/--no-judgements",
            help="Take along the judged hits, with the queries that they were found by.",
        ),
    ] = True,
    quiet: QuietOption = False,
    format: FormatOption = "text",
) -> None:
    """Write a collection into one file that can be imported elsewhere."""
    from indexer.transfer.exporting import export_collection

    session = session_of(context)
    session.terminal.quiet = quiet
    with session.open(name) as target, Stage(session.terminal, f"exporting {name}") as stage:
        manifest = export_collection(
            target, file, overwrite=force, judgements=judgements, on_bytes=stage.tell_bytes
        )
    size = file.stat().st_size
    if format == "json":
        write_json(
            {
                "file": str(file.absolute()),
                "size_bytes": size,
                "documents": manifest.documents,
                "chunks": manifest.chunks,
                "members": [member.path for member in manifest.members],
            }
        )
        return
    content = _content(manifest.documents, manifest.chunks)
    session.terminal.line(
        f"Exported {name!r} ({content}) to ", one_line(str(file)), f", {size_text(size)}."
    )


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to read.")],
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What to call the collection.",
            show_default="as it was called",
        ),
    ] = None,
    quiet: QuietOption = False,
    format: FormatOption = "text",
) -> None:
    """Make a new collection of an exported one."""
    from indexer.transfer.importing import import_collection

    session = session_of(context)
    session.terminal.quiet = quiet
    library = session.library(session.load())
    with Stage(session.terminal, "importing") as stage:
        report = import_collection(library, file, name=name or "", on_bytes=stage.tell_bytes)
    if format == "json":
        write_json(
            {
                "collection": report.name,
                "documents": report.documents,
                "chunks": report.chunks,
                "model": report.model,
                "index": report.index,
                "judged_queries": report.judged,
            }
        )
        return
    _print_import(session.terminal, report)


def _print_import(terminal: Terminal, report: ImportReport) -> None:
    from indexer.embedder import ModelError, model_info

    content = _content(report.documents, report.chunks)
    if report.judged:
        noun = "query" if report.judged == 1 else "queries"
        content = f"{content}, {report.judged:,} judged {noun}"
    terminal.line(f"Imported {report.name!r}: {content}.")
    try:
        model_info(report.model)
    except ModelError as error:
        terminal.warn(f"it can be searched by words only, for lack of its model: {error}")


def _content(documents: int, chunks: int) -> str:
    return f"{count_text(documents, 'document')}, {count_text(chunks, 'chunk')}"
