"""The served app as a process: how it starts, refuses and ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from app import server
from app.serving.addresses import is_local
from app.work.job_queue import JobQueue
from indexer.collections.library import Library
from indexer.errors import UsageError
from tests.app.conftest import DOCUMENTS
from tests.app.server_process import answers, free_port, served
from tests.app.waiting import wait_until

ROOT = Path(server.__file__).parents[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_told_to_end(home: Path, tmp_path: Path, number: int) -> None:
    with served(home, log=tmp_path / "log") as app:
        with urllib.request.urlopen(f"{app.url}/", timeout=10) as answer:
            assert answer.status == 200
        app.process.send_signal(number)
        assert app.process.wait(30) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_it_ends_in_the_middle_of_indexing_without_a_loss(home: Path, tmp_path: Path) -> None:
    Library(home).create("default", model="gircse-minilm").close()
    JobQueue(home / "jobs").add("default", [DOCUMENTS], kind="folder")
    with served(home, log=tmp_path / "log") as app:
        with Library(home).open("default") as collection:
            wait_until(lambda: collection.ledger.totals().documents)
        assert app.end() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    with Library(home).open("default") as collection:
        totals = collection.ledger.totals()
        assert totals.documents == totals.states["ready"]
        assert totals.chunks == len(collection.store)
    # Either it was faster than the signal, or the job waits for the next start.
    assert bool(JobQueue(home / "jobs").jobs()) == (totals.documents < 48)


def test_streamlit_run_serves_it_too(home: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    options = ["--server.port", str(port), "--server.headless", "true"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen([*command, *options], cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}/_stcore/health"
            wait_until(lambda: answers(url))
            process.terminate()
            process.wait(30)
        finally:
            process.kill()
    text = (tmp_path / "log").read_text()
    assert f"http://127.0.0.1:{port}" in text
    assert "Traceback" not in text


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} .* taken .* --port"):
            server.run(port=port, address="127.0.0.1", headless=True)


@pytest.mark.parametrize("address", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=address):
        server.run(port=free_port(), address=address, headless=True)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("192.168.1.7", False),
        ("example.org", False),
    ],
)
def test_who_can_reach_an_address(address: str, local: bool) -> None:
    assert is_local(address) is local


def test_the_options_say_what_privacy_needs() -> None:
    options = server._configuration()
    assert options["browser.gatherUsageStats"] is False
    assert options["server.address"] == "127.0.0.1"
    assert options["server.fileWatcherType"] == "none"
    assert options["client.showErrorDetails"] == "none"
    assert "theme.dark.primaryColor" in options


def test_a_page_that_fails_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(server.st, "error", lambda text, **_: shown.append(text))
    assert server.report_error(ValueError("/secret/path")) is True
    assert "documents are safe" in shown[0]
    assert "secret" not in shown[0]
    assert "/secret/path" in caplog.text
    number = re.search(r"\(error ([0-9a-f]{8})\)", shown[0])
    assert number is not None
    assert number[1] in caplog.text


def test_nobody_else_may_name_the_host(home: Path, tmp_path: Path) -> None:
    with served(home, log=tmp_path / "log") as app:
        request = (
            "GET /_stcore/stream HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
            connection.sendall(request.encode())
            answer = connection.recv(200).decode()
    assert answer.startswith("HTTP/1.1 4")
