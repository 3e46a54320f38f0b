"""For those who watch over the server: whether it can answer, and its numbers."""

from __future__ import annotations

from typing import Literal

from app.api.operations import Answer, NothingAsked, Operation, Plain
from app.services import Services
from app.serving.gauges import gauges
from app.serving.metrics import CONTENT_TYPE

__all__ = ["OPERATIONS"]

_STATUS: dict[str, Literal["ok", "loading", "failed"]] = {
    "ready": "ok",
    "loading": "loading",
    "failed": "failed",
}


class HealthAnswer(Answer):
    """Whether every kind of search can be answered.

    The process is alive whatever this says; searches by words are answered in any state.
    """

    status: Literal["ok", "loading", "failed"]


def _health(services: Services, asked: NothingAsked) -> Plain:
    state = services.models.status(services.settings.model).state
    answer = HealthAnswer(status=_STATUS[state])
    return Plain(
        answer.model_dump_json().encode(),
        "application/json",
        200 if answer.status == "ok" else 503,
    )


def _metrics(services: Services, asked: NothingAsked) -> Plain:
    return Plain(services.metrics.text(lambda: gauges(services)), CONTENT_TYPE)


OPERATIONS = (
    Operation(
        "GET",
        "/health",
        "health",
        "Say whether the default model is loaded: 200 if so, 503 while it loads or if it failed.",
        NothingAsked,
        HealthAnswer,
        _health,
        further_statuses=(503,),
        is_public=True,
    ),
    Operation(
        "GET",
        "/metrics",
        "metrics",
        "Return counters, histograms and gauges in Prometheus' text format.",
        NothingAsked,
        None,
        _metrics,
        answer_media_type=CONTENT_TYPE,
    ),
)
