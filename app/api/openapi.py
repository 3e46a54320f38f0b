"""The OpenAPI 3.1 document, made of the operations that the routes are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api.operations import Answer, Operation

__all__ = ["document"]

_REFERENCE = "#/components/schemas/{model}"
_ABOUT = (
    "Private semantic search over your own documents. Errors are JSON objects with one member, "
    "error, that says what happened and what to do. An API key is asked for when the server was "
    "started with one."
)
_PARAMETER = re.compile(r"{(\w+)(:path)?}")
_PROBLEMS = {
    400: "The request cannot be taken.",
    401: "The API key is missing or another one.",
    403: "The server does not do this for this client, or for nobody.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "It cannot be done now, or not as things are.",
    413: "The body is too large.",
    415: "The body is of another type.",
    500: "Something went wrong on the server.",
    503: "The model is not loaded.",
}

Schema = dict[str, object]


class Problem(BaseModel):
    """What happened and what to do."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorAnswer(Answer):
    """The answer to a request that failed."""

    error: Problem


def document(operations: Sequence[Operation]) -> Schema:
    """Return the document as plain values."""
    schemas = _Schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        path = _PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "GIRCSE Search", "version": _version(), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """The schemas of all values, each under its own name."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ErrorAnswer, "serialization")]
        for operation in operations:
            wanted.append((operation.asked, "validation"))
            if operation.answer is not None:
                wanted.append((operation.answer, "serialization"))
        _, top = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REFERENCE)
        everything: dict[str, Schema] = top["$defs"]
        # Parameters are told one by one; only bodies have a schema of their own.
        inlined = {one.asked.__name__ for one in operations if one.body == "none"}
        inlined -= {one.asked.__name__ for one in operations if one.body != "none"}
        self._everything = everything
        self.definitions = {
            name: schema for name, schema in everything.items() if name not in inlined
        }

    def properties(self, model: type[BaseModel]) -> tuple[dict[str, Schema], list[str]]:
        """Return the properties of a model and the names of those that are required."""
        schema = self._everything[model.__name__]
        properties, required = schema.get("properties", {}), schema.get("required", [])
        assert isinstance(properties, dict)
        assert isinstance(required, list)
        return properties, required


def _operation(operation: Operation, schemas: _Schemas) -> Schema:
    result: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [_tag(operation.path)],
        "parameters": _parameters(operation, schemas),
        "responses": _responses(operation),
        "security": [{}] if operation.is_public else [{}, {"key": []}],
    }
    if operation.body != "none":
        kind = "application/json" if operation.body == "json" else "multipart/form-data"
        schema = {"$ref": _REFERENCE.format(model=operation.asked.__name__)}
        result["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    return result


def _tag(path: str) -> str:
    first, *rest = path.strip("/").split("/")
    return {"api": rest[0] if rest else first, "v1": "openai"}.get(first, "monitoring")


def _parameters(operation: Operation, schemas: _Schemas) -> list[Schema]:
    in_path = {match[0] for match in _PARAMETER.findall(operation.path)}
    if operation.body != "none":
        return []
    properties, required = schemas.properties(operation.asked)
    return [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or name in required,
            "schema": {key: value for key, value in schema.items() if key != "description"},
            **({"description": schema["description"]} if "description" in schema else {}),
        }
        for name, schema in properties.items()
    ]


def _responses(operation: Operation) -> Schema:
    if operation.answer is None:
        content: Schema = {operation.answer_media_type: {"schema": {"type": "string"}}}
    else:
        content = _json(operation.answer)
    responses: Schema = {str(operation.status): {"description": "Done.", "content": content}}
    for status in operation.further_statuses:
        responses[str(status)] = {"description": "As the answer says.", "content": content}
    usual = {400, 403, 500} | (set() if operation.is_public else {401})
    if operation.body != "none":
        usual |= {408, 413, 415}
    for status in sorted(usual | set(operation.problems)):
        responses[str(status)] = {
            "description": _PROBLEMS[status],
            "content": _json(ErrorAnswer),
        }
    return responses


def _json(model: type[BaseModel]) -> Schema:
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"application/json": {"schema": schema}}


def _version() -> str:
    try:
        return version("gircse-search")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
