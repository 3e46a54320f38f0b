"""What every request to the API passes first: who asks, from where, and that errors are JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.config import ApiConfig
from app.api.errors import ApiError, error_response, translated
from app.serving.metrics import Metrics

__all__ = ["ROUTE", "Guard"]

ROUTE = "gircse.route"
"""Key of the scope under which an endpoint notes its path's pattern, for the metrics."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class Guard:
    """Lets requests through that may be made, and turns every exception into an answer.

    There are no CORS headers: pages from elsewhere can read nothing, whatever they send.

    Args:
        app: answers the requests.
        config: returns the rules.
        metrics: returns what counts the requests.
        public: paths that ask for no key.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: Callable[[], ApiConfig],
        metrics: Callable[[], Metrics],
        public: frozenset[str],
    ) -> None:
        self._app = app
        self._config = config
        self._metrics = metrics
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started = time.perf_counter()
        answer = _Answer(send)
        # Without what the route in front found: the parameters are those of the operation alone.
        inner = {**scope, "path_params": {}}
        try:
            self._check(scope)
            await self._app(inner, receive, answer.send)
        # The boundary of the API: no exception gets past it, and no traceback to a client.
        except Exception as error:
            if answer.status:
                raise  # half of the answer is out: all that is left is to break the connection
            await error_response(translated(error))(scope, receive, answer.send)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics().note_request(
                method,
                inner.get(ROUTE, "other"),
                status=answer.status or 499,  # nothing was sent: the client went away
                seconds=time.perf_counter() - started,
            )

    def _check(self, scope: Scope) -> None:
        config, headers = self._config(), Headers(scope=scope)
        host = headers.get("host")
        if not config.allows_host(host):
            raise ApiError(
                403,
                "host_not_allowed",
                f"This server is not to be addressed as {host!r}. Use one of "
                f"{', '.join(config.hosts)}; `gircse app --allow-host NAME` allows further ones.",
            )
        if _is_from_elsewhere(scope["method"], headers):
            raise ApiError(
                403,
                "cross_origin",
                f"The request was made by a page of another origin ({headers.get('origin')}); "
                "only this app's own pages and programs other than browsers may ask.",
            )
        if scope["path"] in self._public or config.allows_key(headers.get("authorization")):
            return
        sent = "another one" if "authorization" in headers else "none"
        raise ApiError(
            401,
            "invalid_api_key",
            f"This server asks for an API key, and {sent} was sent. Send the header "
            "'Authorization: Bearer KEY' with the key that it was started with (GIRCSE_API_KEY).",
            headers={"WWW-Authenticate": "Bearer"},
        )


class _Answer:
    """Sends an answer on with our headers, and knows its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
        await self._send(message)


def _is_from_elsewhere(method: str, headers: Headers) -> bool:
    """Return whether a browser made the request for a page of another origin.

    Browsers state it themselves in one of two headers that pages cannot set; other programs send
    neither. Following a link to a GET is no harm.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return not (method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
