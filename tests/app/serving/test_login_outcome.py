from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.serving.login_outcome import LoginOutcome


def client(response: Response) -> TestClient:
    def answer(_: Request) -> Response:
        return response

    routes = [Route("/base/auth/login", answer), Route("/base/oauth2callback", answer)]
    return TestClient(LoginOutcome(Starlette(routes=routes)), follow_redirects=False)


def test_a_provider_out_of_reach_leads_back_to_the_form() -> None:
    answer = client(PlainTextResponse("Authentication error", 400)).get("/base/auth/login")
    assert answer.status_code == 302
    assert answer.headers["location"] == "../?login=failed"
    assert answer.content == b""


def test_a_way_to_the_provider_is_left_alone() -> None:
    answer = client(RedirectResponse("https://id.example.org/authorize?x=1", 302)).get(
        "/base/auth/login"
    )
    assert answer.headers["location"] == "https://id.example.org/authorize?x=1"


@pytest.mark.parametrize("query", ["code=1&state=2", "error=access_denied"])
def test_a_callback_without_an_identity_has_failed(query: str) -> None:
    response = RedirectResponse("/base/", 302)
    response.delete_cookie("_streamlit_user")
    answer = client(response).get(f"/base/oauth2callback?{query}")
    assert answer.headers["location"] == "/base/?login=failed"
    assert "_streamlit_user" in answer.headers["set-cookie"]


def test_a_callback_with_an_identity_and_a_logout_are_left_alone() -> None:
    response = RedirectResponse("/base/", 302)
    assert client(response).get("/base/oauth2callback").headers["location"] == "/base/"
    response.set_cookie("_streamlit_user", "2|1:0|signed")
    answer = client(response).get("/base/oauth2callback?code=1&state=2")
    assert answer.headers["location"] == "/base/"
