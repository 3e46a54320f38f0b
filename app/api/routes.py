"""The paths of the API, in front of those of the pages."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from app.api import collections, documents, embeddings, monitoring, search
from app.api.config import ApiConfig
from app.api.endpoint import Endpoints
from app.api.errors import ApiError
from app.api.guard import ROUTE, Guard
from app.api.openapi import document
from app.services import Services

__all__ = ["OPERATIONS", "api_routes"]

OPERATIONS = (
    *search.OPERATIONS,
    *documents.OPERATIONS,
    *collections.OPERATIONS,
    *embeddings.OPERATIONS,
    *monitoring.OPERATIONS,
)
_DOCUMENT = "/api/openapi.json"

_Endpoint = Callable[[Request], Awaitable[Response]]


def api_routes(
    services: Callable[[], Services], config: Callable[[], ApiConfig]
) -> list[BaseRoute]:
    """Return the routes of the API.

    Args:
        services: returns the parts of the app; asked for at each request.
        config: returns the rules; asked for at each request.
    """
    endpoints = Endpoints(services, config)
    described = json.dumps(document(OPERATIONS)).encode("ascii")

    async def describe(request: Request) -> Response:
        request.scope[ROUTE] = _DOCUMENT
        return Response(described, media_type="application/json")

    by_path: dict[str, dict[str, _Endpoint]] = {_DOCUMENT: {"GET": describe}}
    for operation in OPERATIONS:
        methods = by_path.setdefault(operation.path, {})
        methods[operation.method] = endpoints.endpoint(operation)
    routes = [
        Route(path, _by_method(known), methods=list(known)) for path, known in by_path.items()
    ]
    public = {_DOCUMENT} | {one.path for one in OPERATIONS if one.is_public}
    guard = Guard(
        Router(routes, redirect_slashes=False, default=_nothing_there),
        config=config,
        metrics=lambda: services().metrics,
        public=frozenset(public),
    )
    # All that is below these is ours: a wrong path gets our answer, not the page of the app.
    return [
        Route(path, guard)
        for path in ("/health", "/metrics", "/api", "/api/{rest:path}", "/v1", "/v1/{rest:path}")
    ]


def _by_method(known: Mapping[str, _Endpoint]) -> _Endpoint:
    # One route for all methods of a path, so that a wrong one is told all that there are.
    async def answer(request: Request) -> Response:
        return await known["GET" if request.method == "HEAD" else request.method](request)

    return answer


async def _nothing_there(scope: Scope, receive: Receive, send: Send) -> None:
    raise ApiError(
        404,
        "path_not_found",
        f"There is nothing under {scope['path']!r}; {_DOCUMENT} describes what there is.",
    )
