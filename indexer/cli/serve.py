"""``gircse app``: the web app, on this machine only unless asked otherwise."""

from __future__ import annotations

import errno
import importlib
import ipaddress
import os
import socket
from typing import Annotated

import typer

from indexer.cli.options import epilog
from indexer.cli.session import session_of
from indexer.errors import IndexerError, UsageError

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
    check_address(address, port)
    if not _is_loopback(address):
        session.terminal.warn(
            f"everyone who can reach {address}:{port} can search, add and delete documents."
        )
    # By name: the app knows the indexer, never the other way round, and only this command runs it.
    server = importlib.import_module("app.server")
    server.run(port=port, address=address, headless=headless)


def check_address(address: str, port: int) -> None:
    """Find out before anything is loaded whether the port can be had.

    Raises:
        UsageError: the address is not one of this machine, or the port needs more rights.
        IndexerError: something else listens there.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do, so that a port left a moment ago does not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except socket.gaierror as error:
        raise UsageError(f"{address!r} is no address: {error.strerror}.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise IndexerError(
                f"port {port} on {address} is taken by another program. If it is this app, open"
                f" http://{address}:{port}; otherwise choose another: --port {port % 65535 + 1}"
            ) from error
        if error.errno == errno.EACCES:
            raise UsageError(
                f"port {port} needs more rights; choose one above 1023: --port 8501"
            ) from error
        raise UsageError(
            f"{address} is not an address of this machine ({error.strerror}); try 127.0.0.1."
        ) from error


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
