"""Has a login that failed end at the login form with a word about it.

Streamlit leads back there in silence, or to a page that says nothing but that there was an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["FAILED", "LoginOutcome"]

FAILED = ("login", "failed")
"""Query parameter that tells the form."""

_COOKIE = b"_streamlit_user="
_MARK = f"?{FAILED[0]}={FAILED[1]}"


class LoginOutcome:
    """Leads back to the form from where logins fail.

    Args:
        app: answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or not _is_of_a_login(scope):
            await self._app(scope, receive, send)
            return
        is_replaced = False

        async def send_on(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start" and _has_failed(scope, message):
                is_replaced = message["status"] >= 400
                message = _leading_back(message)
            elif message["type"] == "http.response.body" and is_replaced:
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, receive, send_on)


def _is_of_a_login(scope: Scope) -> bool:
    path: str = scope["path"]
    if path.endswith("/auth/login"):
        return True
    # a provider leads here after a logout, too, and then with neither
    asked = parse_qs(scope["query_string"].decode("latin-1"))
    return path.endswith("/oauth2callback") and bool({"code", "error"} & asked.keys())


def _has_failed(scope: Scope, message: Message) -> bool:
    if message["status"] >= 400:
        return True
    return scope["path"].endswith("/oauth2callback") and not _logs_in(message["headers"])


def _logs_in(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Say whether an answer leaves the browser with an identity, rather than without one."""
    return any(
        name.lower() == b"set-cookie"
        and value.startswith(_COOKIE)
        and not value.startswith((_COOKIE + b'"";', _COOKIE + b";"))
        for name, value in headers
    )


def _leading_back(message: Message) -> Message:
    if message["status"] >= 400:
        headers = [(b"location", b"../" + _MARK.encode()), (b"content-length", b"0")]
        return {"type": "http.response.start", "status": 302, "headers": headers}
    changed = MutableHeaders(raw=list(message["headers"]))
    changed["location"] = changed.get("location", "/").partition("?")[0] + _MARK
    return {**message, "headers": changed.raw}
