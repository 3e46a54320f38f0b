from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.app.api.conftest import Ask
from tests.app.conftest import BuildServices


def test_collections_are_made_listed_shown_and_deleted(api: httpx.Client) -> None:
    made = api.post("/api/collections", json={"name": "work", "steps": 2})
    assert made.status_code == 201
    assert made.json()["steps"] == made.json()["query_steps"] == 2
    assert made.json()["model"] == "gircse-minilm"
    listed = api.get("/api/collections").json()["collections"]
    assert [one["name"] for one in listed] == sorted(one["name"] for one in listed)
    assert {"default", "work"} <= {one["name"] for one in listed}
    again = api.post("/api/collections", json={"name": "Work"})
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "collection_exists"
    deleted = api.delete("/api/collections/work").json()
    assert deleted == {"name": "work", "documents": 0, "chunks": 0}
    assert api.get("/api/collections/work").status_code == 404
    assert api.delete("/api/collections/work").status_code == 404


def test_a_collection_says_what_it_holds_and_does(api: httpx.Client) -> None:
    shown = api.get("/api/collections/default").json()
    assert shown["documents"] == 3
    assert shown["states"] == {"ready": 3}
    assert shown["chunks"] > 3
    assert shown["problem"] is None
    assert (shown["generation"], shown["store"], shown["index"]) == (1, "faiss", "flat")
    assert shown["fingerprint"]["steps"] == shown["steps"]
    assert shown["activity"] == {"running": None, "waiting": 0, "held": [], "stopped": 0}


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"name": "not/possible"}, 400, "cannot be a collection's name"),
        ({"name": "x", "steps": 65}, 400, "less than or equal to 64"),
        ({"name": "x", "model": "/etc"}, 404, "'/etc' is not offered here"),
        ({}, 400, "name: Field required"),
    ],
)
def test_what_cannot_be_made_is_named(
    api: httpx.Client, asked: dict[str, object], status: int, said: str
) -> None:
    response = api.post("/api/collections", json=asked)
    assert response.status_code == status
    assert said in response.json()["error"]["message"]


def test_a_damaged_collection_says_what_to_do(
    home: Path, build_services: BuildServices, ask_here: Callable[..., Ask]
) -> None:
    parts = build_services(is_started=False)
    parts.create_collection("notes")
    (home / "collections" / "notes" / "collection.json").write_text("{")
    ask = ask_here(parts)
    shown = ask("GET", "/api/collections/notes").json()
    assert "collection.json cannot be read" in shown["problem"]
    assert shown["id"] is None
    assert ask("GET", "/api/collections").json()["collections"][0]["problem"] == shown["problem"]
    found = ask("GET", "/api/search?query=x&mode=lexical&collection=notes")
    assert (found.status_code, found.json()["error"]["code"]) == (500, "storage_error")
    assert ask("GET", "/metrics").status_code == 200
    assert ask("DELETE", "/api/collections/notes").status_code == 200
