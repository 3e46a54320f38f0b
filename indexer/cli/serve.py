"""``gircse app``: the web app, on this machine only unless asked otherwise."""

from __future__ import annotations

import importlib
import os
from typing import Annotated

import typer

from indexer.cli.options import epilog
from indexer.cli.session import session_of

__all__ = ["EPILOG", "serve"]

EPILOG = epilog(
    "gircse app",
    "gircse app --port 8600 --headless",
    after=["It runs until Ctrl-C."],
)


def serve(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8501,
    address: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to listen on; others than this machine's are open."
        ),
    ] = "127.0.0.1",
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a browser.")] = False,
) -> None:
    """Open the web app: search, add documents, see what is indexed."""
    session = session_of(context)
    home = session.load().settings.home
    if session.home is not None:
        os.environ["GIRCSE_HOME"] = str(home)  # the app reads its settings by itself
    # By name: the app knows the indexer, never the other way round, and only this command runs it.
    server = importlib.import_module("app.server")
    if not importlib.import_module("app.addresses").is_local(address):
        session.terminal.warn(
            f"everyone who can reach {address}:{port} can search, add and delete documents."
        )
    server.run(port=port, address=address, headless=headless)
