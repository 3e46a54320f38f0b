from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.serving.headers import SafeHeaders


def test_every_answer_keeps_the_browser_at_home_and_own_headers_stay() -> None:
    def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse("x", headers={"Referrer-Policy": "no-referrer"})

    client = TestClient(SafeHeaders(Starlette(routes=[Route("/", answer)])))
    for path in ("/", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy  # no host but our own
        assert headers["x-dns-prefetch-control"] == "off"
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/").headers["referrer-policy"] == "no-referrer"
