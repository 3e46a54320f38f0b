from __future__ import annotations

import json

import httpx
import pytest
from typer.testing import CliRunner

from indexer.cli import app as cli
from tests.app.server_process import Served

QUESTION = "electrics die as soon as I bake a pie"


def test_a_question_finds_the_passage_that_says_it_in_other_words(api: httpx.Client) -> None:
    found = api.get("/api/search", params={"query": QUESTION, "mode": "dense", "top_k": 2}).json()
    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert found["hits"][0]["source"].endswith("when-the-breaker-trips.pdf")
    assert found["hits"][0]["page"] >= 1
    assert found["steps"] == 5
    assert len(found["steps_ms"]) == 6
    assert found["timings_ms"]["total"] >= found["timings_ms"]["embed"] > 0


def test_both_ways_to_ask_are_the_same(api: httpx.Client) -> None:
    asked = {"query": "thaw meat", "steps": 2, "top_k": 4, "offset": 1, "type": ["pdf"]}
    by_address = api.get("/api/search", params=asked).json()
    by_body = api.post("/api/search", json=asked).json()
    assert by_address["hits"] == by_body["hits"]
    assert by_body["steps"] == 2
    assert by_body["hits"][0]["rank"] == 2
    assert {hit["media_type"] for hit in by_body["hits"]} == {"pdf"}


def test_hits_are_those_of_the_command_line(api: httpx.Client, api_server: Served) -> None:
    asked = {"query": "limescale", "mode": "lexical"}
    found = api.post("/api/search", json=asked).json()
    arguments = ["--home", str(api_server.home), "search", "limescale", "--mode", "lexical"]
    result = CliRunner().invoke(cli, [*arguments, "--format", "json"])
    told = json.loads(result.stdout)
    for hit in told["hits"]:
        del hit["file"]  # what became of the file since, which costs a look at each
    assert found["hits"] == told["hits"]
    assert found["fingerprint"] == told["fingerprint"]


def test_highlights_lie_within_the_passage(api: httpx.Client) -> None:
    (hit, *_) = api.get("/api/search", params={"query": "limescale"}).json()["hits"]
    marked = [hit["passage"][start:end].lower() for start, end in hit["highlights"]]
    assert "limescale" in marked


def test_filters_hold(api: httpx.Client) -> None:
    def sources(**conditions: object) -> set[str]:
        asked = {"query": "water", "mode": "lexical", **conditions}
        hits = api.post("/api/search", json=asked).json()["hits"]
        return {hit["source"].rsplit("/", 1)[-1] for hit in hits}

    everything = sources()
    assert len(everything) > 1
    assert sources(path="*dripping*") == {"dripping-tap.md"}
    assert sources(after="2100-01-01") == set()
    assert sources(before="2100-01-01") == everything


def test_a_budget_and_stability_choose_the_steps(api: httpx.Client) -> None:
    within = api.post("/api/search", json={"query": QUESTION, "budget_ms": 60_000}).json()
    assert within["steps"] == 20
    assert within["progress"]["stopped"] == "steps"
    hurried = api.post("/api/search", json={"query": QUESTION, "budget_ms": 0.1}).json()
    assert hurried["steps"] == 0
    assert hurried["progress"]["stopped"] == "budget"
    calm = api.post("/api/search", json={"query": QUESTION, "auto": True}).json()
    assert calm["steps"] < 20
    assert calm["progress"]["stopped"] in {"stable", "converged"}
    assert calm["hits"][0]["first_rank"] >= 1


def test_phrases_exclusions_groups_and_passages(api: httpx.Client) -> None:
    def hits(**asked: object) -> list[dict[str, object]]:
        found: list[dict[str, object]] = api.post("/api/search", json=asked).json()["hits"]
        return found

    assert all("limescale" in str(hit["passage"]).lower() for hit in hits(query='"limescale"'))
    without = hits(query="dripping tap -limescale")
    assert without
    assert not any("limescale" in str(hit["passage"]).lower() for hit in without)
    grouped = [hit["document_id"] for hit in hits(query="water", group="document")]
    assert len(set(grouped)) == 3
    assert grouped == sorted(grouped, key=grouped.index)
    (first, *_) = hits(query="limescale")
    similar = hits(like=[first["chunk_id"]])
    assert similar
    assert first["chunk_id"] not in [hit["chunk_id"] for hit in similar]


@pytest.mark.parametrize(
    ("asked", "status", "said", "param"),
    [
        ({"query": "x", "steps": 65}, 400, "less than or equal to 64 (given: 65)", "steps"),
        ({"query": "x", "steps": "3"}, 400, "valid integer", "steps"),
        ({"query": ""}, 400, "say what to look for", None),
        ({"query": "   "}, 400, "say what to look for", None),
        ({}, 400, "say what to look for", None),
        ({"query": "-x"}, 400, "only says what to leave out", None),
        ({"query": "x", "budget_ms": 0}, 400, "greater than 0", "budget_ms"),
        ({"query": "x", "group": "page"}, 400, "'passage' or 'document'", "group"),
        ({"query": "x", "mode": "lexical", "like": ["y"]}, 400, "more or less of a passage", None),
        ({"like": ["gone"]}, 400, "not in the collection any more", None),
        ({"query": "x", "colection": "y"}, 400, "there is no 'colection'; known:", "colection"),
        ({"query": "x", "mode": "fuzzy"}, 400, "'hybrid', 'dense' or 'lexical'", "mode"),
        ({"query": "x", "type": ["docz"]}, 400, "there is no type 'docz'", None),
        ({"query": "x", "after": "soon"}, 400, "write it as 2024-01-31", None),
        ({"query": "x", "dense_weight": 1.5}, 400, "dense_weight", "dense_weight"),
        ({"query": "x", "collection": "none"}, 404, "no collection 'none'", "collection"),
        ({"query": "x", "collection": "../up"}, 400, "cannot be a collection's name", None),
        ({"query": "x", "collection": ""}, 400, "cannot be a collection's name", None),
    ],
)
def test_what_cannot_be_asked_is_named(
    api: httpx.Client, asked: dict[str, object], status: int, said: str, param: str | None
) -> None:
    response = api.post("/api/search", json=asked)
    error = response.json()["error"]
    assert response.status_code == status
    assert said in error["message"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


def test_a_parameter_is_given_once(api: httpx.Client) -> None:
    response = api.get("/api/search?query=a&query=b")
    assert response.status_code == 400
    assert "query is given 2 times" in response.json()["error"]["message"]


@pytest.mark.parametrize("body", ["", "{", '{"query": "\\ud800"}', "[" * 10_000, '"text"'])
def test_no_body_breaks_it(api: httpx.Client, body: str) -> None:
    response = api.post("/api/search", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_request"
