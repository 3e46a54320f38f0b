"""Serves the app: one process that owns model, collections and the indexing thread.

Knows how Streamlit is started and stopped; what is shown is in ``app.pages``.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import tomllib
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import streamlit as st
from starlette.middleware import Middleware

from app.api.config import ApiConfig, allowed_hosts, check_reach
from app.api.routes import api_routes
from app.errors import log_unexpected
from app.resources import services
from app.serving.accounts import login_files, read_accounts
from app.serving.downloads import download_route
from app.serving.headers import SafeHeaders
from app.serving.login_outcome import LoginOutcome
from indexer.errors import UsageError
from indexer.settings import load

__all__ = [
    "MIDDLEWARE",
    "ROUTES",
    "SCRIPT",
    "check_options",
    "lifespan",
    "report_error",
    "run",
]

SCRIPT = Path(__file__).parent / "pages" / "main.py"

logger = logging.getLogger(__name__)

_PARTS = "services"
_EVERYWHERE = ("0.0.0.0", "::")
# The wheel carries the checkout's file beside this module.
_CONFIG_FILES = (
    Path(__file__).parent / "config.toml",
    Path(__file__).parent.parent / ".streamlit" / "config.toml",
)


@lru_cache(maxsize=1)
def _api_config() -> ApiConfig:
    """Return the rules of the API; asked for only while the server runs, under its options."""
    address = st.get_option("server.address")
    return ApiConfig(
        hosts=allowed_hosts(address, st.get_option("server.allowedHosts")),
        api_key=services().settings.api_key,
        upload_bytes=st.get_option("server.maxUploadSize") << 20,
    )


ROUTES = [
    *api_routes(services, _api_config),
    download_route(lambda: services().downloads),
]
MIDDLEWARE = (Middleware(SafeHeaders), Middleware(LoginOutcome))


def run(*, port: int, address: str, headless: bool, host_names: Sequence[str] = ()) -> None:
    """Serve pages and API until SIGINT or SIGTERM; indexing ends its batch, and nothing is lost.

    Args:
        port: to listen on.
        address: to listen on; others than this machine's own let others in.
        headless: do not open a browser.
        host_names: further names by which the app may be addressed, such as that of a proxy.

    Raises:
        UsageError: nothing can listen there, others could and no API key is set, or the login
            settings cannot be right; says what to do.
    """
    settings = load().settings
    check_reach(address, host_names, api_key=settings.api_key)
    read_accounts(login_files(), api_key=settings.api_key)
    _check_free(address, port)
    config = _configuration() | {
        "server.port": port,
        "server.address": address,
        "server.maxUploadSize": settings.upload_mb,
        "server.headless": True,  # Streamlit's own way to open a browser is not for st.App
        "server.allowedHosts": list(allowed_hosts(address, host_names)),
        "secrets.files": [str(file) for file in login_files()],
    }
    app = st.App(
        SCRIPT,
        routes=ROUTES,
        middleware=MIDDLEWARE,
        lifespan=_opening(address, port, headless),
        on_script_error=report_error,
    )
    with _ended_by_signals():
        app.run(config=config)
    parts = app.state.get(_PARTS)
    if parts is not None and parts.models.is_loading:
        # Everything is written down. Python's own way to end would tear down the libraries under
        # the thread that loads a large model, and the process would die of that with a core dump.
        logging.shutdown()
        os._exit(0)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Start what the pages work with before the first of them is asked for; end it at the end."""
    parts = await asyncio.to_thread(services)
    try:
        yield {_PARTS: parts}
    finally:
        await asyncio.to_thread(parts.close)


def check_options() -> None:
    """End the program with a sentence where Streamlit's options let in who should not be.

    For ``streamlit run``, which has read its options before it imports the app.
    """
    try:
        api_key = load().settings.api_key
        check_reach(
            st.get_option("server.address"), st.get_option("server.allowedHosts"), api_key=api_key
        )
        read_accounts([Path(file) for file in st.get_option("secrets.files")], api_key=api_key)
    except UsageError as error:
        raise SystemExit(f"The app does not start: {error}") from None


def report_error(error: Exception) -> bool:
    """Show in the page that something went wrong, without a traceback; that goes to the log."""
    reference = log_unexpected(logger, "a page", error)
    st.error(
        f"Something unexpected went wrong on this page (error {reference}). Your documents are "
        "safe. Reload the page; if it happens again, the log of the program that runs the app has "
        "the details under that number.",
        icon=":material/error:",
    )
    return True


def _opening(
    address: str, port: int, headless: bool
) -> Callable[[st.App], AbstractAsyncContextManager[dict[str, Any]]]:
    """Return the lifespan that also opens a browser, once the server listens."""

    @asynccontextmanager
    async def opening(app: st.App) -> AsyncIterator[dict[str, Any]]:
        async with lifespan(app) as state:
            if not headless:
                shown = f"[{address}]" if ":" in address else address
                url = f"http://{'localhost' if address in _EVERYWHERE else shown}:{port}"
                # Later than now: the server answers only when this function has yielded.
                asyncio.get_running_loop().call_later(0.3, webbrowser.open, url)
            yield state

    return opening


def _configuration() -> dict[str, Any]:
    """Return the options of ``.streamlit/config.toml``, which hold from any working directory."""
    path = next(path for path in _CONFIG_FILES if path.is_file())
    return dict(_flat(tomllib.loads(path.read_text(encoding="utf-8"))))


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _check_free(address: str, port: int) -> None:
    """Find out before anything is loaded whether the port can be had."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(where)
    except socket.gaierror as error:
        raise UsageError(f"{address!r} is no address: {error.strerror}.") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(
                f"nothing can listen on {address}:{port}: {error.strerror}. Use 127.0.0.1 and a "
                "port above 1023."
            ) from error
        raise UsageError(
            f"port {port} on {address} is taken by another program. If that is this app, open "
            f"http://{address}:{port}; otherwise choose another one: --port {port % 65535 + 1}"
        ) from error


class _Ended(BaseException):
    """A signal asked the server to end."""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Leave the block quietly on SIGINT and SIGTERM.

    While it serves, the server takes signals itself, ends in good order and raises them once more
    for whoever was there before: this.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise _Ended

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Ended:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
