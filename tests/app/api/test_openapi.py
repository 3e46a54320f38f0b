"""The document itself; that answers are as it says is checked wherever a test gets one."""

from __future__ import annotations

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api.routes import OPERATIONS
from tests.app.api.conftest import DOCUMENT


def test_the_document_is_valid_and_served(api: httpx.Client) -> None:
    served = api.get("/api/openapi.json").json()
    assert served == DOCUMENT
    assert served["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(served).validate()


def test_every_operation_is_told_with_all_its_parameters() -> None:
    names = set()
    for operation in OPERATIONS:
        path = operation.path.replace(":path", "")
        told = DOCUMENT["paths"][path][operation.method.lower()]
        names.add(told["operationId"])
        if operation.body == "none":
            parameters = {parameter["name"] for parameter in told["parameters"]}
        else:
            (content,) = told["requestBody"]["content"].values()
            schema = content["schema"]["$ref"].rsplit("/", 1)[-1]
            parameters = set(DOCUMENT["components"]["schemas"][schema]["properties"])
        assert parameters == set(operation.asked.model_fields)
    assert len(names) == len(OPERATIONS)


def test_everything_that_asks_for_a_key_says_so() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            assert ("401" in operation["responses"]) == (path != "/health")
