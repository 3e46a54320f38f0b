"""What the app counts and times for as long as it runs, in Prometheus' text format.

Nothing is sent anywhere: whoever wants the numbers asks for them. Safe between threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from indexer.searching.results import SearchResult

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# From a lexical search of a small collection to a large model on a busy CPU.
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters and histograms of one running app."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # else each has a second series
        # Not the library's own registry: it is one for the whole process, tests included.
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._searches = Counter(
            "gircse_searches", "Searches answered.", ["mode"], registry=self._registry
        )
        self._search_parts = Histogram(
            "gircse_search_seconds",
            "Time of each part of a search; the part total is all of them.",
            ["part"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._texts = Counter(
            "gircse_embedded_texts",
            "Texts embedded for clients of the API.",
            ["model"],
            registry=self._registry,
        )
        self._requests = Counter(
            "gircse_http_requests",
            "Requests to the API.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._request_time = Histogram(
            "gircse_http_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ["method", "route"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def note_search(self, result: SearchResult) -> None:
        """Count a search and the time of its parts."""
        self._searches.labels(result.request.mode).inc()
        for part, milliseconds in result.timings_ms.items():
            self._search_parts.labels(part).observe(milliseconds / 1000.0)

    def note_texts(self, model: str, count: int) -> None:
        """Count texts that were embedded for a client."""
        self._texts.labels(model).inc(count)

    def note_request(self, method: str, route: str, *, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            method: as sent, or ``"other"`` for one that is no method of ours.
            route: the path's pattern, never the path itself: each new one is a series for ever.
            status: of the answer.
            seconds: from the request's headers to the end of the answer.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._request_time.labels(method, route).observe(seconds)

    def text(self, gauges: Callable[[], Iterable[Metric]]) -> bytes:
        """Return everything in the text format.

        Args:
            gauges: returns what is read at this moment rather than counted.
        """
        return generate_latest(_Joined(self._registry, gauges))


class _Joined(Collector):
    def __init__(self, registry: CollectorRegistry, gauges: Callable[[], Iterable[Metric]]) -> None:
        self._registry = registry
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        yield from self._registry.collect()
        yield from self._gauges()
