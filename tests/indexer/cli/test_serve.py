"""``gircse app`` hands over to the app; what the app itself does has tests of its own."""

from __future__ import annotations

import os
import socket
import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def server(monkeypatch):
    """Stand in for the app: what it was started with, instead of serving for ever."""
    calls = []

    def run(*, port, address, headless, host_names):
        calls.append((port, address, headless, os.environ.get("GIRCSE_HOME")))
        calls.extend(host_names)

    monkeypatch.setitem(sys.modules, "app.server", SimpleNamespace(run=run))
    return calls


def test_the_app_is_started_on_this_machine_only(gircse, server):
    result = gircse("app", "--port", "8600", "--headless")

    assert result.exit_code == 0
    assert server == [(8600, "127.0.0.1", True, str(gircse.home))]
    assert result.stderr == ""


def test_the_home_given_as_a_flag_reaches_the_app(gircse, server, tmp_path, monkeypatch):
    monkeypatch.setenv("GIRCSE_HOME", "elsewhere")  # restored afterwards

    gircse.ok("--home", tmp_path / "other", "app")

    assert server == [(8501, "127.0.0.1", False, str(tmp_path / "other"))]


def test_an_open_address_comes_with_a_warning(gircse, server, monkeypatch):
    monkeypatch.setenv("GIRCSE_API_KEY", "a-key-that-nobody-guesses")

    result = gircse("app", "--address", "0.0.0.0")

    assert result.exit_code == 0
    assert "everyone who can reach 0.0.0.0:8501" in result.stderr
    assert "add and delete" in result.stderr


def test_a_name_to_answer_to_comes_with_a_warning(gircse, server, monkeypatch):
    monkeypatch.setenv("GIRCSE_API_KEY", "a-key-that-nobody-guesses")
    monkeypatch.setenv("GIRCSE_READ_ONLY", "false")  # restored afterwards

    result = gircse("app", "--allow-host", "search.example.org", "--read-only")

    assert server[1:] == ["search.example.org"]
    assert os.environ["GIRCSE_READ_ONLY"] == "true"
    assert "can search." in result.stderr


@pytest.mark.parametrize(
    "options", [["--address", "0.0.0.0"], ["--allow-host", "search.example.org"]]
)
def test_without_a_key_nothing_is_served_to_others(gircse, options):
    result = gircse("app", *options)

    assert result.exit_code == 2
    assert "no API key is set" in result.stderr
    assert "GIRCSE_API_KEY" in result.stderr


def test_a_port_out_of_range_is_a_usage_error(gircse, server):
    assert gircse("app", "--port", 70_000).exit_code == 2
    assert server == []


def test_a_busy_port_is_a_usage_error_with_a_way_out(gircse):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        result = gircse("app", "--port", port)

    assert result.exit_code == 2
    assert f"port {port} on 127.0.0.1 is taken" in result.stderr
    assert "--port" in result.stderr
