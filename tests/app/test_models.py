from __future__ import annotations

import threading
from typing import cast

import pytest

from app.models import Models
from indexer.embedder import Embedder, ModelError
from tests.app.searching.test_calibration import Info, Timed
from tests.app.waiting import wait_until


def test_a_model_is_loaded_once_while_others_go_on() -> None:
    gate, loads = threading.Event(), []

    def load(name: str) -> Embedder:
        loads.append(name)
        gate.wait(10)
        return cast(Embedder, Timed(Info(0, 3)))

    models = Models(load)
    assert models.status("a").state == "loading"
    assert models.status("a").state == "loading"
    gate.set()
    embedder = models.get("a")
    assert models.get("a") is embedder
    status = models.status("a")
    assert status.state == "ready"
    assert status.timing is not None
    assert loads == ["a"]


def test_a_failure_is_told_and_can_be_tried_again() -> None:
    attempts = []

    def load(name: str) -> Embedder:
        attempts.append(name)
        if len(attempts) == 1:
            raise ModelError("its weights are damaged; run gircse model pull")
        return cast(Embedder, Timed(Info(0, 0)))

    models = Models(load)
    with pytest.raises(ModelError, match="damaged"):
        models.get("a")
    assert models.status("a").state == "failed"
    assert "gircse model pull" in models.status("a").problem
    models.retry("a")
    assert models.get("a") is not None
    models.retry("a")  # nothing to do
    assert len(attempts) == 2


def test_nobody_waits_for_a_model_once_the_app_ends() -> None:
    gate = threading.Event()

    def load(name: str) -> Embedder:
        gate.wait(10)
        return cast(Embedder, Timed(Info(0, 0)))

    models = Models(load)
    models.start("a")
    told: list[str] = []

    def wait() -> None:
        try:
            models.get("a")
        except ModelError as error:
            told.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    threading.Timer(0.2, gate.set).start()
    models.close()
    waiting.join(5)
    assert told == ["The app is ending."]
    wait_until(lambda: not models.is_loading)
