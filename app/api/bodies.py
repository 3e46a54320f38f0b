"""Reading what a request carries, within limits on size and time, as checked values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import get_origin

from pydantic import ValidationError
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from app.api.errors import ApiError
from app.api.operations import Asked
from app.work.uploads import Upload

__all__ = ["limited", "read_form", "read_json", "read_parameters"]

_PATIENCE_S = 60.0
_DRAIN_S = 30.0
_SHOWN_CHARS = 80
_MAX_FILES = 1000
_MAX_FIELDS = 20


def limited(request: Request, *, limit: int) -> Receive:
    """Return what receives a request's body and gives up where it is too large or does not arrive.

    Args:
        request: with its headers; nothing of the body was read yet.
        limit: largest body in bytes.
    """
    receive, stated = request.receive, request.headers.get("content-length", "")
    is_too_large = stated.isdecimal() and int(stated) > limit
    size = 0

    async def receive_some() -> Message:
        nonlocal size
        if is_too_large:
            await _drain(receive)
            raise _too_large(limit)
        try:
            message = await asyncio.wait_for(receive(), _PATIENCE_S)
        except TimeoutError:
            raise ApiError(
                408,
                "body_timeout",
                f"Nothing of the body arrived for {_PATIENCE_S:.0f} s; send the request again.",
            ) from None
        size += len(message.get("body", b""))
        if size > limit:
            await _drain(receive)
            raise _too_large(limit)
        return message

    return receive_some


async def _drain(receive: Receive) -> None:
    """Take in the rest of a body unseen: few clients read an answer while they are sending."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while (message := await receive())["type"] == "http.request":
                if not message.get("more_body", False):
                    return


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413,
        "body_too_large",
        f"The body is larger than the {limit / (1 << 20):,.0f} MiB that are taken at once. Send "
        "less at a time; files on the server's own disk are added by their path.",
    )


async def read_json(request: Request, model: type[Asked]) -> Asked:
    """Return a JSON body as checked values.

    Raises:
        ApiError: it is no JSON, too large, late, or not what the model says.
    """
    _check_type(request, "application/json")
    try:
        return model.model_validate_json(await request.body(), strict=True)
    except ValidationError as error:
        raise _invalid(error, model) from None


@asynccontextmanager
async def read_form(request: Request, model: type[Asked]) -> AsyncIterator[Asked]:
    """Give the fields of a form as checked values, its files among them as ``files``.

    The files are on disk beyond a MiB each, and gone when the block ends.

    Raises:
        ApiError: it is no such form, too large, late, or not what the model says.
    """
    _check_type(request, "multipart/form-data")
    try:
        form = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS)
    except HTTPException as error:
        raise ApiError(
            400, "invalid_request", f"The form cannot be read: {error.detail.rstrip('.')}."
        ) from error
    try:
        yield _form_values(form, model)
    finally:
        await form.close()


def _form_values(form: FormData, model: type[Asked]) -> Asked:
    files = []
    values: dict[str, object] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.append(Upload(value.filename or "", value.file, value.size or 0))
        else:
            values[name] = value
    try:
        return model.model_validate(values | {"files": tuple(files)})
    except ValidationError as error:
        raise _invalid(error, model) from None


def _check_type(request: Request, wanted: str) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != wanted:
        raise ApiError(
            415,
            "unsupported_media_type",
            f"The body is {kind or 'of no stated type'}; this path takes {wanted}, said by the "
            "Content-Type header.",
        )


def read_parameters(parameters: QueryParams, path: Mapping[str, str], model: type[Asked]) -> Asked:
    """Return the parameters of the address as checked values.

    Args:
        parameters: what follows the question mark; one that takes several values is repeated.
        path: those that are part of the path.
        model: what they have to be.

    Raises:
        ApiError: they are not what the model says.
    """
    values: dict[str, object] = {}
    for name in parameters:
        found = parameters.getlist(name)
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) in (list, tuple):
            values[name] = found
        elif len(found) > 1:
            raise ApiError(
                400,
                "invalid_request",
                f"{name} is given {len(found)} times; give it once.",
                param=name,
            )
        else:
            values[name] = found[0]
    try:
        return model.model_validate(values | dict(path))
    except ValidationError as error:
        raise _invalid(error, model) from None


def _invalid(error: ValidationError, model: type[Asked]) -> ApiError:
    problems = []
    first: str | None = None
    for problem in error.errors(include_url=False, include_context=False):
        place = _place(problem["loc"])
        first = first or place or None
        if problem["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            problems.append(f"there is no {place!r}; known: {known}")
        else:
            text = problem["msg"].removeprefix("Value error, ")
            problems.append(f"{place}: {text}{_given(problem['type'], problem.get('input'))}")
    message = "; ".join(dict.fromkeys(part.removeprefix(": ") for part in problems))
    return ApiError(400, "invalid_request", f"The request cannot be taken: {message}.", param=first)


def _place(path: Sequence[int | str]) -> str:
    # Where a value may be of several types, the further words name the type that was tried.
    return ".".join(str(part) for part in path if part == path[0] or isinstance(part, int))


def _given(kind: str, value: object) -> str:
    if kind in ("missing", "json_invalid"):
        return ""
    text = repr(value)
    return f" (given: {text[:_SHOWN_CHARS]}{'…' if len(text) > _SHOWN_CHARS else ''})"
