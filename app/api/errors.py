"""Every failure as an answer: a status, a short stable word, what happened and what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.errors import ReadOnlyError, UploadLimitError, log_unexpected
from indexer.embedder import ModelError
from indexer.errors import (
    CollectionBusyError,
    CollectionNotFoundError,
    IndexerError,
    StaleCollectionError,
    UsageError,
)

__all__ = ["ApiError", "error_response", "translated"]

logger = logging.getLogger(__name__)

_RETRY_BUSY_S = 5


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: of the answer.
        code: short stable word for the cause.
        message: what happened, with the values seen, and what to do.
        param: the parameter or field at fault; None where it is none of them.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})


def translated(error: Exception) -> ApiError:
    """Return the answer to an exception; one that nobody expected is logged, not told."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):  # of the router: a method that the path does not know
        allowed = (error.headers or {}).get("Allow", "")
        message = f"This path does not know the method; use {allowed}."
        return ApiError(405, "method_not_allowed", message, headers=error.headers)
    known = _of_ours(error)
    if known is not None:
        return known
    reference = log_unexpected(logger, "a request", error)
    return ApiError(
        500,
        "internal_error",
        "Something unexpected went wrong; nothing is lost. If it happens again, the log of the "
        f"program that runs the app has the details under the reference {reference}.",
    )


def _of_ours(error: Exception) -> ApiError | None:
    text = str(error)
    if isinstance(error, ReadOnlyError):
        return ApiError(403, "read_only", text)
    if isinstance(error, CollectionNotFoundError):
        return ApiError(404, "collection_not_found", text, param="collection")
    if isinstance(error, UploadLimitError):
        return ApiError(413, "upload_too_large", text, param="files")
    if isinstance(error, UsageError):
        return ApiError(400, "invalid_request", text)
    if isinstance(error, StaleCollectionError):
        return ApiError(409, "stale_collection", text)
    if isinstance(error, CollectionBusyError):
        return ApiError(409, "collection_busy", text, headers={"Retry-After": str(_RETRY_BUSY_S)})
    if isinstance(error, ModelError):
        return ApiError(503, "model_unavailable", text)
    if isinstance(error, IndexerError):
        return ApiError(500, "storage_error", text)
    return None


def error_response(error: ApiError) -> Response:
    """Return the answer, in the form that OpenAI's clients understand."""
    if error.status == 401:
        kind = "authentication_error"
    else:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
    content = {
        "error": {
            "message": error.message,
            "type": kind,
            "param": error.param,
            "code": error.code,
        }
    }
    return Response(
        json.dumps(content).encode("ascii"),
        status_code=error.status,
        headers=error.headers,
        media_type="application/json",
    )
