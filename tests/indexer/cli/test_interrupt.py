"""One signal asks, the second one stops; afterwards everything is as before."""

from __future__ import annotations

import io
import os
import signal
import threading

import pytest

from indexer.cli.interrupt import StopOnSignal
from indexer.cli.terminal import Terminal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_an_end(number, capsys):
    before = signal.getsignal(number)

    with StopOnSignal(Terminal()) as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        assert "Stopping after the current batch" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)

    assert signal.getsignal(number) is before


def test_handlers_are_put_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)

    with pytest.raises(ValueError, match="broken"), StopOnSignal(Terminal()):
        raise ValueError("broken")

    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter():
        with StopOnSignal(Terminal()) as stop:
            seen.append((signal.getsignal(signal.SIGINT), stop.requested))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()

    assert seen == [(before, False)]


@pytest.mark.parametrize("error", [BrokenPipeError, RuntimeError])
def test_a_wish_counts_though_its_confirmation_cannot_be_written(error, monkeypatch):
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    terminal = Terminal()
    monkeypatch.setattr(terminal.err, "file", Broken())
    with StopOnSignal(terminal) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
