from __future__ import annotations

import base64

import httpx
import numpy as np
import pytest

from indexer.embedder import Embedder

TEXTS = ["Bread stales fastest in the fridge.", "A bridge of steel."]


def post(api: httpx.Client, **body: object) -> httpx.Response:
    return api.post("/v1/embeddings", json=body)


def vectors(answer: dict[str, list[dict[str, object]]]) -> np.ndarray:
    return np.array([item["embedding"] for item in answer["data"]], dtype=np.float32)


def test_vectors_are_those_of_the_model(api: httpx.Client, minilm: Embedder) -> None:
    answer = post(api, model="gircse-minilm", input=TEXTS).json()
    made = vectors(answer)
    assert np.abs(np.linalg.norm(made, axis=1) - 1).max() < 1e-5
    assert (made * minilm.embed_documents(TEXTS)).sum(axis=1).min() > 0.9999
    assert [item["index"] for item in answer["data"]] == [0, 1]
    assert [item["object"] for item in answer["data"]] == ["embedding"] * 2
    assert (answer["object"], answer["model"]) == ("list", "gircse-minilm")
    assert answer["usage"] == {"prompt_tokens": 17, "total_tokens": 17}
    assert (answer["steps"], answer["truncated"]) == (5, 0)


def test_base64_holds_the_same_numbers(api: httpx.Client) -> None:
    plain = vectors(post(api, input=TEXTS[0]).json())
    (item,) = post(api, input=TEXTS[0], encoding_format="base64").json()["data"]
    assert (np.frombuffer(base64.b64decode(item["embedding"]), "<f4") == plain[0]).all()


def test_steps_and_input_type_are_taken(api: httpx.Client, minilm: Embedder) -> None:
    for steps in (0, 8):
        answer = post(api, input=TEXTS, steps=steps, input_type="query").json()
        expected = minilm.embed_queries(TEXTS, steps=steps)
        assert answer["steps"] == steps
        assert (vectors(answer) * expected).sum(axis=1).min() > 0.9999


def test_a_text_that_is_cut_is_counted(api: httpx.Client) -> None:
    answer = post(api, input=["word " * 400, "short"]).json()
    assert answer["truncated"] == 1
    assert answer["usage"]["prompt_tokens"] == 256 + 3


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"input": [[1, 2], [3]]}, 400, "token ids"),
        ({"input": [1, 2]}, 400, "check_embedding_ctx_length"),
        ({"input": []}, 400, "at least 1 item"),
        ({"input": ["x"] * 2049}, 400, "at most 2048 items"),
        ({"input": ["x", " "]}, 400, "text 1 of 2 is empty"),
        ({"input": "x", "steps": 65}, 400, "less than or equal to 64"),
        ({"input": "x", "dimensions": 256}, 400, "have 384 and cannot be cut"),
        ({"input": "x", "model": "text-embedding-3-small"}, 404, "there are: gircse-minilm"),
        ({"input": "x", "encoding_format": "hex"}, 400, "'float' or 'base64'"),
        ({"model": "gircse-minilm"}, 400, "input: Field required"),
    ],
)
def test_what_cannot_be_embedded_is_named(
    api: httpx.Client, body: dict[str, object], status: int, said: str
) -> None:
    response = post(api, **body)
    assert response.status_code == status
    assert said in response.json()["error"]["message"]


def test_the_width_of_the_model_may_be_asked_for(api: httpx.Client) -> None:
    assert vectors(post(api, input="x", dimensions=384).json()).shape == (1, 384)


def test_models_are_listed_and_shown(api: httpx.Client) -> None:
    listed = api.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == ["gircse-minilm"]
    assert (listed[0]["min_steps"], listed[0]["default_steps"]) == (0, 5)
    assert api.get("/v1/models/gircse-minilm").json() == listed[0]
    assert api.get("/v1/models/owner/other").json()["error"]["code"] == "model_not_found"
