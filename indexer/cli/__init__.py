"""The ``gircse`` command: one module per group of commands, wired together here.

Importing this package imports neither models nor stores: each command imports what it runs on.
"""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from indexer.cli import (
    collection,
    config,
    doctor,
    document,
    evaluate,
    index,
    judgement,
    model,
    reindex,
    search,
    serve,
    show,
    snapshot,
    status,
    train,
    transfer,
    tune,
    verify,
    watch,
)
from indexer.cli.boundary import EXIT_CODES, RootGroup
from indexer.cli.options import epilog
from indexer.cli.session import Session

__all__ = ["app", "main"]

app = typer.Typer(
    name="gircse",
    cls=RootGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog(
        "gircse index ~/Documents",
        'gircse search "how do I renew my passport"',
        "gircse app",
        after=[
            "Exit codes:",
            *(f"  {int(code)}  {meaning}" for code, meaning in EXIT_CODES.items()),
        ],
    ),
)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"gircse-search {version('gircse-search')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep collections in this directory.",
            show_default="GIRCSE_HOME, or the user's data directory",
        ),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="GIRCSE_DEBUG", help="Show tracebacks and what the program does."
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Search your own documents by meaning, on your own machine.

    Settings come from flags, then GIRCSE_… variables, then ./gircse.toml,
    then your own config.toml: gircse config show prints where each came from.
    """
    context.obj = Session(home=home, debug=debug)
    context.obj.start_logging()


app.command(name="index", epilog=index.EPILOG)(index.index)
app.command(name="watch", epilog=watch.EPILOG)(watch.watch)
app.command(name="reindex", epilog=reindex.EPILOG)(reindex.reindex)
app.command(name="search", epilog=search.EPILOG)(search.search)
app.command(name="status", epilog=status.EPILOG)(status.status)
app.command(name="show", epilog=show.EPILOG)(show.show)
app.add_typer(collection.app, name="collections")
app.command(name="verify", epilog=verify.EPILOG)(verify.verify)
app.add_typer(snapshot.app, name="snapshot")
app.command(name="export", epilog=transfer.EXPORT_EPILOG)(transfer.export)
app.command(name="import", epilog=transfer.IMPORT_EPILOG)(transfer.import_)
app.add_typer(document.app, name="documents")
app.add_typer(model.app, name="model")
app.command(name="train", epilog=train.EPILOG)(train.train)
app.add_typer(config.app, name="config")
app.command(name="doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.add_typer(judgement.app, name="judgements")
app.command(name="eval", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command(name="tune", epilog=tune.EPILOG)(tune.tune)
app.command(name="app", epilog=serve.EPILOG)(serve.serve)


def main() -> None:
    """Run the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter gets its number
            stream.reconfigure(errors="backslashreplace")
    # Warnings of libraries are for their callers' developers; --debug shows them as log messages.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    app(prog_name="gircse")
