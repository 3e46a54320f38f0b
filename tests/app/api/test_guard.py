"""Who is answered, and that whatever happens is answered in JSON."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.api.config import ApiConfig, allowed_hosts, check_reach
from app.services import Services
from indexer.embedder import ModelError
from indexer.errors import CollectionBusyError, FingerprintMismatchError, StorageError, UsageError
from tests.app.api.conftest import Ask, client_of
from tests.app.conftest import BuildServices
from tests.app.server_process import Served, free_port, served

KEY = "correct-horse-battery-staple"
ROOT = Path(__file__).parents[3]

AskHere = Callable[..., Ask]


@pytest.fixture
def parts(home: Path, build_services: BuildServices) -> Services:
    built = build_services(is_started=False)
    built.create_collection("default")
    return built


def code(response: httpx.Response) -> str:
    return str(response.json()["error"]["code"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST.:8501", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:8501", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example@localhost", 403),
        ("localhost/evil", 403),
        ("localhost:port", 403),
        ("", 403),
    ],
)
def test_only_its_own_names_are_answered(
    parts: Services, ask_here: AskHere, host: str, status: int
) -> None:
    response = ask_here(parts)("GET", "/api/collections", headers={"Host": host})
    assert response.status_code == status
    if status == 403:
        assert code(response) == "host_not_allowed"
        assert repr(host) in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ({"Origin": "https://evil.example"}, "GET", 403),
        ({"Origin": "null"}, "POST", 403),
        ({"Origin": "http://localhost:3000"}, "POST", 403),
        ({"Origin": "http://localhost"}, "POST", 201),
        ({"Sec-Fetch-Site": "same-origin"}, "POST", 201),
        ({"Sec-Fetch-Site": "same-site"}, "POST", 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, "POST", 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, "GET", 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "GET", 403),
    ],
)
def test_pages_of_others_are_not_answered(
    parts: Services, ask_here: AskHere, headers: dict[str, str], method: str, status: int
) -> None:
    options = {"json": {"name": "new"}} if method == "POST" else {}
    response = ask_here(parts)(method, "/api/collections", headers=headers, **options)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers
    assert ("new" in parts.library.names()) == (status == 201)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_form_could_send_is_no_json(parts: Services, ask_here: AskHere, kind: str) -> None:
    response = ask_here(parts)(
        "POST", "/api/collections", content=b'{"name": "new"}', headers={"Content-Type": kind}
    )
    assert response.status_code == 415
    assert "application/json" in response.json()["error"]["message"]
    assert parts.library.names() == ["default"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (None, 401),
        (f"Bearer {KEY}", 200),
        (f"bearer {KEY}", 200),
        (f"Bearer {KEY}x", 401),
        (f"Bearer {KEY[:-1]}", 401),
        ("Bearer", 401),
        (f"Basic {KEY}", 401),
        (KEY, 401),
        ("Bearer schlüssel", 401),
    ],
)
def test_a_key_is_asked_for_where_one_is_set(
    parts: Services, ask_here: AskHere, sent: str | None, status: int
) -> None:
    ask = ask_here(parts, ApiConfig(api_key=KEY))
    headers = {} if sent is None else {"Authorization": sent.encode("latin-1")}
    response = ask("GET", "/api/collections", headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["type"] == "authentication_error"
        assert KEY not in response.text
    assert ask("GET", "/metrics", headers=headers).status_code == status
    nothing = ask("GET", "/api/nothing", headers=headers)
    assert nothing.status_code == (404 if status == 200 else 401)


@pytest.mark.parametrize("path", ["/health", "/api/openapi.json"])
def test_what_is_public_asks_for_no_key(parts: Services, ask_here: AskHere, path: str) -> None:
    assert ask_here(parts, ApiConfig(api_key=KEY))("GET", path).status_code in (200, 503)


def test_a_key_is_no_matter_where_none_is_set(parts: Services, ask_here: AskHere) -> None:
    headers = {"Authorization": "Bearer whatever-a-client-sends"}
    assert ask_here(parts)("GET", "/api/collections", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/v1", "/api/collections/", "/v1/chat/completions"]
)
def test_a_path_that_is_none_is_told_so(parts: Services, ask_here: AskHere, path: str) -> None:
    response = ask_here(parts)("POST", path)
    assert response.status_code == 404
    assert code(response) == "path_not_found"
    assert "/api/openapi.json" in response.json()["error"]["message"]


def test_a_wrong_method_is_told_the_right_ones(parts: Services, ask_here: AskHere) -> None:
    response = ask_here(parts)("PUT", "/api/collections")
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (StorageError("the disk is full; free some space"), 500, "storage_error"),
        (CollectionBusyError("another process writes"), 409, "collection_busy"),
        (FingerprintMismatchError("made with other settings"), 409, "stale_collection"),
    ],
)
def test_failures_keep_their_message(
    parts: Services,
    ask_here: AskHere,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    expected: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(parts), "search", fail)
    response = ask_here(parts)("GET", "/api/search?query=x&mode=lexical")
    assert (response.status_code, code(response)) == (status, expected)
    assert response.json()["error"]["message"] == str(error)


def test_a_surprise_is_logged_and_not_told(
    parts: Services,
    ask_here: AskHere,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("/secret/path")

    monkeypatch.setattr(type(parts), "search", fail)
    with caplog.at_level(logging.ERROR):
        response = ask_here(parts)("GET", "/api/search?query=x&mode=lexical")
    assert (response.status_code, code(response)) == (500, "internal_error")
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    reference = response.json()["error"]["message"].split()[-1].rstrip(".")
    assert reference in caplog.text
    assert "/secret/path" in caplog.text


def test_bodies_have_a_limit(parts: Services, ask_here: AskHere) -> None:
    ask = ask_here(parts, ApiConfig(json_bytes=1000, upload_bytes=2000))
    big = json.dumps({"name": "x" * 2000})
    headers = {"Content-Type": "application/json"}
    response = ask("POST", "/api/collections", content=big, headers=headers)
    assert (response.status_code, code(response)) == (413, "body_too_large")

    async def parts_of_it() -> object:
        for _ in range(20):
            yield b" " * 100

    response = ask("POST", "/api/collections", content=parts_of_it(), headers=headers)
    assert response.status_code == 413
    response = ask("POST", "/api/documents", files={"file": ("a.txt", b"x" * 3000)})
    assert response.status_code == 413
    assert parts.queue.jobs() == []


@pytest.mark.parametrize("mode", ["loading", "failed"])
def test_a_model_that_is_not_there_is_said(
    parts: Services, ask_here: AskHere, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    is_over = threading.Event()

    def load(name: str) -> object:
        if mode == "loading":
            assert is_over.wait(30)
        raise ModelError("its weights are damaged; run `gircse model verify`")

    monkeypatch.setattr(parts.models, "_load", load)
    monkeypatch.setattr("app.api.endpoint._LOADING_PATIENCE_S", 0.2)
    response = ask_here(parts)("GET", "/api/search?query=x")
    is_over.set()
    assert response.status_code == 503
    if mode == "loading":
        assert code(response) == "model_loading"
        assert int(response.headers["retry-after"]) > 0
        assert "mode lexical" in response.json()["error"]["message"]
    else:
        assert code(response) == "model_unavailable"
        assert "gircse model verify" in response.json()["error"]["message"]
    assert ask_here(parts)("GET", "/api/search?query=x&mode=lexical").status_code == 200


@pytest.mark.parametrize(
    ("address", "names", "key", "served"),
    [
        ("127.0.0.1", [], None, True),
        ("::1", ["localhost"], None, True),
        ("127.0.0.1", ["search.example.org"], None, False),
        ("127.0.0.1", ["*"], None, False),
        ("0.0.0.0", [], None, False),
        (None, [], None, False),
        ("0.0.0.0", [], KEY, True),
        (None, ["search.example.org"], KEY, True),
    ],
)
def test_others_need_a_key(
    address: str | None, names: list[str], key: str | None, served: bool
) -> None:
    if served:
        check_reach(address, names, api_key=key)
        return
    with pytest.raises(UsageError, match="GIRCSE_API_KEY"):
        check_reach(address, names, api_key=key)


def test_names_are_limited_where_the_key_is_not_all_there_is() -> None:
    assert set(allowed_hosts("127.0.0.1", [])) == {"localhost", "127.0.0.1", "::1"}
    assert allowed_hosts("0.0.0.0", []) == ()
    assert allowed_hosts(None, []) == ()
    assert "search.example.org" in allowed_hosts("0.0.0.0", ["Search.Example.org."])
    config = ApiConfig(hosts=allowed_hosts("127.0.0.1", ["*.example.org"]))
    assert config.allows_host("a.example.org:80")
    assert not config.allows_host("example.org.evil")


def test_streamlit_run_does_not_start_openly_without_a_key(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    options = ["--server.port", str(free_port()), "--server.headless", "true"]
    done = subprocess.run(
        [*command, *options, "--server.address", "0.0.0.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "no API key is set" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def guarded(indexed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A read-only server that listens on all addresses."""
    folder = tmp_path_factory.mktemp("guarded")
    shutil.copytree(indexed_home, folder / "home")
    options = ["--address", "0.0.0.0", "--read-only"]
    with served(
        folder / "home",
        log=folder / "log",
        variables={"GIRCSE_API_KEY": KEY},
        options=options,
    ) as app:
        yield app
    assert KEY not in (folder / "log").read_text()


def test_a_read_only_server_searches_and_changes_nothing(guarded: Served) -> None:
    with client_of(guarded.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        asked = {"query": "limescale", "mode": "lexical"}
        found = client.post("/api/search", json=asked).json()
        assert found["hits"]
        identity = found["hits"][0]["document_id"]
        assert client.get(f"/api/documents/{identity}").json()["text"]
        refused = [
            client.post("/api/collections", json={"name": "new"}),
            client.delete("/api/collections/default"),
            client.delete(f"/api/documents/{identity}"),
            client.post("/api/documents", files={"file": ("a.txt", b"text")}),
        ]
        for response in refused:
            assert response.status_code == 403
            assert code(response) == "read_only"
        response = client.post("/api/documents/from-path", json={"path": str(ROOT)})
        assert code(response) == "paths_not_taken"
        assert client.get("/api/collections/default").json()["documents"] == 3
    with client_of(guarded.url) as client:
        assert client.post("/api/search", json=asked).status_code == 401
