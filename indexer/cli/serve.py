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
    "gircse app --address 0.0.0.0 --read-only",
    after=[
        "It runs until Ctrl-C. Programs ask under /api and /v1; /api/openapi.json describes how.",
        "Programs have to send the API key that is set (GIRCSE_API_KEY, or api_key in your"
        " config.toml). Where others can reach the app, it does not start without one.",
    ],
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
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Search and show only; change nothing.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer to this name too, such as that of a proxy in front; may be repeated.",
        ),
    ] = None,
) -> None:
    """Serve the web app and its REST API: search, add documents, see what is indexed."""
    session = session_of(context)
    settings = session.load({"read_only": read_only or None}).settings
    # The app reads its settings by itself.
    if session.home is not None:
        os.environ["GIRCSE_HOME"] = str(settings.home)
    if read_only:
        os.environ["GIRCSE_READ_ONLY"] = "true"
    # By name: the app knows the indexer, never the other way round, and only this command runs it.
    server = importlib.import_module("app.server")
    is_local = importlib.import_module("app.serving.addresses").is_local(address) and not allow_host
    accounts = importlib.import_module("app.serving.accounts")
    rules = accounts.read_accounts(accounts.login_files(), api_key=settings.api_key)
    if not is_local and rules is None and settings.api_key is not None:
        may = "search" if settings.read_only else "search, add and delete documents"
        session.terminal.warn(
            f"programs need the API key, the pages do not: everyone who can reach {address}:{port}"
            f" with a browser can {may}. Set up a login (docs/login.md) to change that."
        )
    server.run(port=port, address=address, headless=headless, host_names=allow_host or ())
