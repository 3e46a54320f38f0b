"""Loaded models: each is loaded once, in a thread of its own, while everything else goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from app.searching.calibration import Calibration, StepTiming, calibrate
from indexer.embedder import Embedder, ModelError

__all__ = ["ModelStatus", "Models"]

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Where the loading of a model is.

    Args:
        state: how far it is.
        seconds: since loading began, while it goes on.
        problem: why it failed, with what to do.
        timing: what its queries cost here, once it is ready.
    """

    state: Literal["loading", "ready", "failed"]
    seconds: float = 0.0
    problem: str = ""
    timing: StepTiming | None = None


@dataclass(frozen=True, slots=True)
class _Loaded:
    embedder: Embedder
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class _Loading:
    future: Future[_Loaded]
    thread: threading.Thread
    started: float


class Models:
    """The models in use. Safe between threads.

    Args:
        load: loads the model of that name; takes seconds and may raise.
    """

    def __init__(self, load: Callable[[str], Embedder]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._models: dict[str, _Loading] = {}

    def start(self, name: str) -> None:
        """Begin to load a model, unless that was done before."""
        self._loading(name)

    def names(self) -> list[str]:
        """Return the models that somebody asked for, in that order."""
        with self._lock:
            return list(self._models)

    def status(self, name: str) -> ModelStatus:
        """Say where a model is; one that nobody asked for yet begins to load."""
        loading = self._loading(name)
        if not loading.future.done():
            return ModelStatus("loading", seconds=time.monotonic() - loading.started)
        error = loading.future.exception()
        if error is not None:
            return ModelStatus("failed", problem=str(error) or type(error).__name__)
        return ModelStatus("ready", timing=loading.future.result().calibration.timing)

    def get(self, name: str) -> Embedder:
        """Return a model, waiting for it as long as it takes.

        Raises:
            ModelError: it could not be loaded; ``retry`` tries again.
        """
        return self._loading(name).future.result().embedder

    def note_query(self, name: str, steps_ms: Sequence[float]) -> None:
        """Take in what a query of a loaded model took; its timing follows when that drifts."""
        with self._lock:
            loading = self._models.get(name)
        if loading is not None and loading.future.done() and not loading.future.exception():
            loading.future.result().calibration.note(steps_ms)

    def retry(self, name: str) -> None:
        """Load a model again that failed."""
        with self._lock:
            loading = self._models.get(name)
            if loading is not None and loading.future.done() and loading.future.exception():
                del self._models[name]
        self.start(name)

    def close(self) -> None:
        """Have those who wait for a model stop: ``get`` then raises.

        A model that is being loaded cannot be told to stop; it is waited for, but not long.
        """
        deadline = time.monotonic() + _PATIENCE_S
        with self._lock:
            for loading in self._models.values():
                with suppress(InvalidStateError):
                    loading.future.set_exception(ModelError("The app is ending."))
            threads = [loading.thread for loading in self._models.values()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def is_loading(self) -> bool:
        """Whether a thread is still at work on a model."""
        with self._lock:
            return any(loading.thread.is_alive() for loading in self._models.values())

    def _loading(self, name: str) -> _Loading:
        with self._lock:
            loading = self._models.get(name)
            if loading is None:
                future: Future[_Loaded] = Future()
                thread = threading.Thread(
                    target=self._work, args=(name, future), name=f"load {name}", daemon=True
                )
                loading = self._models[name] = _Loading(future, thread, time.monotonic())
                thread.start()
            return loading

    def _work(self, name: str, future: Future[_Loaded]) -> None:
        # After ``close`` nobody waits for what comes of this.
        with suppress(InvalidStateError):
            try:
                embedder = self._load(name)
                future.set_result(_Loaded(embedder, Calibration(calibrate(embedder))))
            except InvalidStateError:
                raise
            except Exception as error:  # whatever it is, it goes to those who ask for the model
                future.set_exception(error)
