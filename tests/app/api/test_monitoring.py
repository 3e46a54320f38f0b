from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.app.api.conftest import Ask
from tests.app.conftest import BuildServices


def samples(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): float(
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_numbers_follow_what_is_done(api: httpx.Client) -> None:
    before = samples(api.get("/metrics").text)
    api.get("/api/search", params={"query": "limescale", "mode": "hybrid"})
    api.post("/v1/embeddings", json={"input": ["a", "b", "c"]})
    api.get("/api/documents/unknown")
    after = samples(api.get("/metrics").text)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("gircse_searches_total hybrid") == 1
    for part in ("embed", "dense", "lexical", "fuse", "fetch", "total"):
        assert grown(f"gircse_search_seconds_count {part}") == 1
    assert grown("gircse_embedded_texts_total gircse-minilm") == 3
    assert grown("gircse_http_requests_total GET /api/search 200") == 1
    assert grown("gircse_http_requests_total GET /api/documents/{id} 404") == 1
    assert grown("gircse_http_request_seconds_count GET /api/search") == 1
    assert after["gircse_jobs running"] == after["gircse_jobs waiting"] == 0
    assert after["gircse_files default ready"] == 3
    assert after["gircse_passages default"] > 3
    assert after["gircse_model_ready gircse-minilm"] == 1
    assert after["process_resident_memory_bytes"] > 1e8


def test_paths_that_nobody_knows_make_one_series(api: httpx.Client) -> None:
    for path in ("/api/one", "/api/two", "/v1/three"):
        assert api.get(path).status_code == 404
    assert samples(api.get("/metrics").text)["gircse_http_requests_total GET other 404"] >= 3


def test_health_says_whether_the_model_is_loaded(
    home: object, build_services: BuildServices, ask_here: object, api: httpx.Client
) -> None:
    assert api.get("/health").json() == {"status": "ok"}
    ask: Ask = ask_here(build_services(is_started=False))  # type: ignore[operator]
    response = ask("GET", "/health")
    assert response.status_code == 503
    assert response.json() == {"status": "loading"}
