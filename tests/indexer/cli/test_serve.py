"""``gircse app``: checks before anything is loaded, then hands over."""

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

    def run(*, port, address, headless):
        calls.append((port, address, headless, os.environ.get("GIRCSE_HOME")))

    monkeypatch.setitem(sys.modules, "app.server", SimpleNamespace(run=run))
    return calls


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_app_is_started_on_this_machine_only(gircse, server, free_port):
    result = gircse("app", "--port", free_port, "--headless")

    assert result.exit_code == 0
    assert server == [(free_port, "127.0.0.1", True, str(gircse.home))]
    assert result.stderr == ""


def test_the_home_given_as_a_flag_reaches_the_app(gircse, server, free_port, tmp_path, monkeypatch):
    monkeypatch.setenv("GIRCSE_HOME", "elsewhere")  # restored afterwards

    gircse.ok("--home", tmp_path / "other", "app", "--port", free_port)

    assert server[0][3] == str(tmp_path / "other")


def test_a_busy_port_is_said_so_before_the_app_is_loaded(gircse, server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        result = gircse("app", "--port", port)

    assert result.exit_code == 1
    assert f"port {port} on 127.0.0.1 is taken" in result.stderr
    assert f"--port {port + 1}" in result.stderr
    assert server == []


@pytest.mark.parametrize("address", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_a_usage_error(gircse, server, address):
    result = gircse("app", "--address", address)

    assert result.exit_code == 2
    assert address in result.stderr
    assert server == []


def test_an_open_address_comes_with_a_warning(gircse, server, free_port):
    result = gircse("app", "--address", "0.0.0.0", "--port", free_port)

    assert result.exit_code == 0
    assert "everyone who can reach" in result.stderr


def test_a_port_out_of_range_is_a_usage_error(gircse, server):
    assert gircse("app", "--port", 70_000).exit_code == 2
