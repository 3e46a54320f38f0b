"""The app as users run it: ``gircse app`` in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.app.waiting import wait_until


@dataclass(frozen=True)
class Served:
    """A running app."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self) -> int:
        """End it in good order; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def free_port() -> int:
    """Return a port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(
    home: Path,
    *,
    log: Path,
    variables: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[Served]:
    """Serve the app on a free port; it is gone when the block ends.

    Args:
        home: directory of its collections.
        log: gets what it prints.
        variables: further environment variables.
        options: further options of the command.
    """
    port = free_port()
    environment = {**os.environ, "GIRCSE_HOME": str(home), **(variables or {})}
    command = [sys.executable, "-m", "indexer.cli", "app", "--port", str(port), "--headless"]
    command += options
    with (
        log.open("ab") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process,
    ):
        app = Served(home, port, process)
        try:
            wait_until(lambda: process.poll() is not None or answers(f"{app.url}/_stcore/health"))
            assert process.poll() is None, log.read_text()
            yield app
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Return whether there is a page under an address."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for_model(app: Served) -> None:
    """Wait for the model: when it is loaded, pages draw themselves anew and close what is open."""
    wait_until(lambda: answers(f"{app.url}/health"))
