"""Logging in with an OpenID provider, which is a small one of the test's own."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import Page

from tests.app.browser.watching import Watched, click, expect
from tests.app.server_process import Served, served

KEY = "k" * 32
CLIENT = "gircse"


class Provider(ThreadingHTTPServer):
    """Knows one user, whom it never asks for a password."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.key = RSAKey.generate_key(2048, parameters={"kid": "1"}, private=True)
        self.email = "ann@example.org"
        self.nonce = ""
        self.is_down = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def identity(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "user-1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 600,
            "nonce": self.nonce,
            "email": self.email,
            "email_verified": True,
        }
        return jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)


class Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        url = self.server.url
        if parts.path == "/.well-known/openid-configuration":
            self.answer(
                {
                    "issuer": url,
                    "authorization_endpoint": f"{url}/authorize",
                    "token_endpoint": f"{url}/token",
                    "jwks_uri": f"{url}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        elif parts.path == "/keys":
            self.answer({"keys": [self.server.key.as_dict(private=False)]})
        elif parts.path == "/authorize" and self.server.is_down:
            back = urlencode({"error": "server_error", "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()
        elif parts.path == "/authorize":
            self.server.nonce = asked.get("nonce", "")
            back = urlencode({"code": "code-1", "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(
            {
                "access_token": "token-1",
                "token_type": "Bearer",
                "expires_in": 600,
                "id_token": self.server.identity(),
            }
        )

    def answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def app(
    provider: Provider, indexed_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("login")
    shutil.copytree(indexed_home, folder / "home")
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text(
        f"""\
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "{"c" * 40}"
client_id = "{CLIENT}"
client_secret = "hush"
server_metadata_url = "{provider.url}/.well-known/openid-configuration"

[gircse]
allowed_users = ["ann@example.org"]
"""
    )
    variables = {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "GIRCSE_API_KEY": KEY,
    }
    with served(folder / "home", log=folder / "log", variables=variables) as running:
        yield running
        assert running.end() == 0
    assert "Traceback" not in (folder / "log").read_text()


def assert_closed(page: Page) -> None:
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert page.get_by_role("searchbox").count() == 0
    assert page.locator(".gs-hit").count() == 0
    assert page.get_by_role("link", name="Library").count() == 0


def test_no_page_is_shown_before_a_login_and_all_are_after_it(app: Served, page: Page) -> None:
    for address in ("/?q=dripping+tap", "/library", "/search?q=dripping+tap"):
        page.goto(app.url + address)
        assert_closed(page)
    click(page.get_by_role("button", name="Log in"))
    expect(page.get_by_role("heading", name="Search your documents")).to_be_visible()
    expect(page.get_by_text("Logged in as ann@example.org")).to_be_visible()
    page.goto(f"{app.url}/?q=dripping+tap")
    expect(page.locator(".gs-hit").first).to_be_visible()
    click(page.get_by_role("button", name="Log out"))
    assert_closed(page)
    page.goto(f"{app.url}/?q=dripping+tap")
    assert_closed(page)


def test_who_is_not_on_the_list_is_turned_away(app: Served, provider: Provider, page: Page) -> None:
    provider.email = "eve@example.org"
    try:
        page.goto(f"{app.url}/?q=dripping+tap")
        click(page.get_by_role("button", name="Log in"))
        expect(page.get_by_text("eve@example.org is not among those")).to_be_visible()
        assert page.get_by_role("searchbox").count() == 0
        click(page.get_by_role("button", name="Log out"))
        assert_closed(page)
    finally:
        provider.email = "ann@example.org"


def test_a_login_that_fails_says_so_and_can_be_tried_again(
    app: Served, provider: Provider, page: Page
) -> None:
    failed = page.get_by_text("The login did not work")
    provider.is_down = True
    try:
        page.goto(app.url)
        click(page.get_by_role("button", name="Log in"))
        expect(failed).to_be_visible()
        assert_closed(page)
    finally:
        provider.is_down = False
    provider.nonce = "of another login"
    page.goto(f"{app.url}/oauth2callback?code=stolen&state=unknown")
    expect(failed).to_be_visible()
    click(page.get_by_role("button", name="Log in"))
    expect(page.get_by_role("heading", name="Search your documents")).to_be_visible()
    expect(failed).to_have_count(0)
    click(page.get_by_role("button", name="Log out"))
    assert_closed(page)
    expect(failed).to_have_count(0)


def test_a_forged_cookie_opens_nothing(app: Served, watched: Watched) -> None:
    page = watched.page
    page.context.add_cookies(
        [
            {
                "name": "_streamlit_user",
                "value": json.dumps({"is_logged_in": True, "email": "ann@example.org"}),
                "url": app.url,
            }
        ]
    )
    page.goto(f"{app.url}/?q=dripping+tap")
    assert_closed(page)


@pytest.mark.parametrize(
    "path",
    ["/api/search?query=tap", "/api/documents", "/api/collections", "/metrics", "/v1/models"],
)
def test_the_api_keeps_its_own_key(app: Served, path: str) -> None:
    assert httpx.get(app.url + path, timeout=60).status_code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    assert httpx.get(app.url + path, headers=headers, timeout=60).status_code == 200
