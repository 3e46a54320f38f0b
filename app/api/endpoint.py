"""Answers a request by an operation: reads it, waits for its model, does it in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from app.api.bodies import limited, read_form, read_json, read_parameters
from app.api.config import ApiConfig
from app.api.errors import ApiError
from app.api.guard import ROUTE
from app.api.operations import Asked, Operation, Plain
from app.services import Services

__all__ = ["Endpoints"]

_READERS = 16
_WRITERS = 4  # they may wait for indexing to rest, and nobody who searches waits for them
_LOADING_PATIENCE_S = 30.0
_LOOK_S = 0.05
_RETRY_LOADING_S = 5


class Endpoints:
    """Makes endpoints of operations.

    Handlers run apart from the event loop, which the pages need as well, and from the threads of
    the pages.

    Args:
        services: returns the parts of the app.
        config: returns the rules.
    """

    def __init__(self, services: Callable[[], Services], config: Callable[[], ApiConfig]) -> None:
        self._services = services
        self._config = config
        self._readers = CapacityLimiter(_READERS)
        self._writers = CapacityLimiter(_WRITERS)

    def endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers requests for an operation."""

        async def answer(request: Request) -> Response:
            request.scope[ROUTE] = operation.path
            if operation.body == "none":
                asked = read_parameters(request.query_params, request.path_params, operation.asked)
                return await self._answer(operation, asked)
            config = self._config()
            limit = config.upload_bytes if operation.body == "files" else config.json_bytes
            bounded = Request(request.scope, limited(request, limit=limit))
            if operation.body == "json":
                return await self._answer(operation, await read_json(bounded, operation.asked))
            async with read_form(bounded, operation.asked) as form:
                return await self._answer(operation, form)

        return answer

    async def _answer(self, operation: Operation, asked: Asked) -> Response:
        services = self._services()
        if operation.model is not None:
            name = await to_thread.run_sync(operation.model, services, asked, limiter=self._readers)
            await _loaded(services, name)
        limiter = self._writers if operation.is_write else self._readers
        plain = await to_thread.run_sync(_done, operation, services, asked, limiter=limiter)
        return Response(plain.content, plain.status, media_type=plain.media_type)


def _done(operation: Operation, services: Services, asked: Asked) -> Plain:
    answer = operation.handler(services, asked)
    if isinstance(answer, Plain):
        return answer
    content = answer.model_dump_json().encode("utf-8")
    return Plain(content, "application/json", operation.status)


async def _loaded(services: Services, name: str | None) -> None:
    """Wait for a model, without keeping a thread from others."""
    if name is None:
        return
    patience = time.monotonic() + _LOADING_PATIENCE_S
    while (status := services.models.status(name)).state == "loading":
        if time.monotonic() > patience:
            raise ApiError(
                503,
                "model_loading",
                f"The model {name} is still loading, for {status.seconds:.0f} s so far. Ask again "
                "in a moment; searches by words (mode lexical) need no model.",
                headers={"Retry-After": str(_RETRY_LOADING_S)},
            )
        await asyncio.sleep(_LOOK_S)
    if status.state == "failed":
        services.models.retry(name)  # for the next one who asks: what was wrong may be mended
        raise ApiError(
            503, "model_unavailable", f"The model {name} is not available: {status.problem}"
        )
