"""The API of a server process, and of one put together in this process where no model is needed."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.applications import Starlette

from app.api.config import ApiConfig
from app.api.openapi import document
from app.api.routes import OPERATIONS, api_routes
from app.services import Services
from tests.app.server_process import Served, served
from tests.app.waiting import wait_until

DOCUMENT = json.loads(json.dumps(document(OPERATIONS)))


def check_answer(response: httpx.Response) -> None:
    """Hold an answer against the OpenAPI document; every client of these tests does."""
    response.read()
    path = response.request.url.path
    template = _template(path)
    if template is None:
        assert path == "/api/openapi.json" or response.status_code in (401, 403, 404)
        return
    described = DOCUMENT["paths"][template].get(response.request.method.lower())
    if described is None:
        assert response.status_code == 405
        return
    told = described["responses"]
    assert str(response.status_code) in told, f"{path} answers {response.status_code}, untold"
    (kind, content), *_ = told[str(response.status_code)]["content"].items()
    assert response.headers["content-type"] == kind
    if kind == "application/json":
        schema = {**content["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(response.json())
        reference = content["schema"]["$ref"].rsplit("/", 1)[-1]
        known = DOCUMENT["components"]["schemas"][reference]["properties"]
        assert set(response.json()) == set(known)


def _template(path: str) -> str | None:
    # The longest one first: /api/documents/from-path is no id.
    for template in sorted(DOCUMENT["paths"], key=lambda one: (one.count("{"), one)):
        pattern = re.sub(r"{model}", "(.+)", template)
        if re.fullmatch(re.sub(r"{\w+}", "([^/]+)", pattern), path):
            return str(template)
    return None


def client_of(url: str, **options: Any) -> httpx.Client:
    """Return a client whose every answer is held against the document."""
    hooks = {"response": [check_answer]}
    return httpx.Client(base_url=url, timeout=120, event_hooks=hooks, trust_env=False, **options)


def wait_until_healthy(app: Served) -> None:
    with client_of(app.url) as client:
        wait_until(lambda: client.get("/health").status_code == 200)


@pytest.fixture(scope="session")
def api_server(indexed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over three documents in the collection ``default``; others may be added."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(indexed_home, folder / "home")
    with served(folder / "home", log=folder / "log") as app:
        wait_until_healthy(app)
        yield app
        assert app.end() == 0
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture
def api(api_server: Served) -> Iterator[httpx.Client]:
    with client_of(api_server.url) as client:
        yield client


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask_here() -> Callable[..., Ask]:
    """Return what asks an API in this process, under rules of the test's own."""

    def with_rules(services: Services, config: ApiConfig | None = None) -> Ask:
        rules = config or ApiConfig()
        app = Starlette(routes=api_routes(lambda: services, lambda: rules))

        def ask(method: str, path: str, **options: Any) -> httpx.Response:
            async def run() -> httpx.Response:
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://localhost"
                ) as client:
                    return await client.request(method, path, **options)

            response = asyncio.run(run())
            check_answer(response)
            return response

        return ask

    return with_rules
