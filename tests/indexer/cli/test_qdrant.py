"""A collection that is searched in Qdrant, from the command line: made, swapped, read from afar."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from indexer.collections.generations import read_generations
from tests.indexer.cli.conftest import Gircse
from tests.indexer.stores.qdrant.rest import RestServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RestServer]:
    with serving() as server:
        monkeypatch.setenv("GIRCSE_QDRANT_URL", server.url)
        yield server


@pytest.fixture
def stored(gircse: Gircse, notes, server: RestServer) -> Gircse:
    gircse.ok("index", notes)
    gircse.ok("reindex", "--store", "qdrant")
    return gircse


def hits(gircse: Gircse, *args: object) -> list[tuple[str, str, float]]:
    found = gircse.json("search", *args)["hits"]
    return [(hit["chunk_id"], hit["passage"], round(hit["score"], 5)) for hit in found]


QUERIES = [
    ("let dough rest",),
    ("town hall", "--mode", "lexical"),
    ("water", "--mode", "dense"),
    ("water", "--where", "path=garden"),
    ("water", "--where", "type=markdown", "--fusion", "rrf"),
    ("nothing of this kind", "--where", "path=nowhere"),
]


def test_an_index_in_qdrant_answers_as_the_embedded_one_did(gircse, notes, server) -> None:
    gircse.ok("index", notes)
    before = [hits(gircse, *query) for query in QUERIES]
    embedded = gircse.embedder.documents

    gircse.ok("reindex", "--store", "qdrant")

    assert gircse.embedder.documents == embedded
    assert gircse.json("collections", "show", "default")["live"]["store"] == "qdrant"
    assert [hits(gircse, *query) for query in QUERIES] == before


def test_the_address_alone_is_enough_to_search(stored: Gircse, server, monkeypatch) -> None:
    here = [hits(stored, *query) for query in QUERIES]
    monkeypatch.setenv("GIRCSE_HOME", "/nowhere")
    monkeypatch.delenv("GIRCSE_QDRANT_URL")

    afar = [hits(stored, *query, "--qdrant-url", server.url) for query in QUERIES]

    assert afar == here
    absent = stored("search", "dough", "-c", "other", "--qdrant-url", server.url)
    assert absent.exit_code == 1
    assert "'other' is not there" in " ".join(absent.stderr.split())


def test_documents_follow_into_qdrant_and_out_of_it(stored: Gircse, notes, server) -> None:
    (notes / "passport.txt").write_text("Renew an identity card instead.\n", encoding="utf-8")
    (notes / "bread.md").unlink()

    stored.ok("index", notes, "--prune")

    afar = ("--qdrant-url", server.url)
    assert "identity" in hits(stored, "identity card", "--mode", "lexical", *afar)[0][1]
    assert hits(stored, "dough", "--mode", "lexical", *afar) == []
    stored.ok("documents", "delete", str(notes / "passport.txt"), "--yes")
    assert hits(stored, "identity card", "--mode", "lexical", *afar) == []


def test_a_swap_moves_the_alias_and_a_rollback_moves_it_back(stored: Gircse, server) -> None:
    folder = stored.home / "collections" / "default"
    afar = ("dough", "--qdrant-url", server.url)
    before = hits(stored, *afar)
    first = server._real("default")

    stored.ok("reindex", "default")
    second = server._real("default")
    assert second != first
    assert hits(stored, *afar) == before

    stored.ok("collections", "rollback", "default")
    assert server._real("default") == first
    assert hits(stored, *afar) == before

    stored.ok("reindex", "default", "--store", "faiss")  # sweeps what is older than the previous
    assert read_generations(folder).live.store == "faiss"
    left = {one.name for one in server.client.get_collections().collections}
    assert left == {first, f"{first}.documents"}
    assert server._real("default") == "default"  # nobody is led to an index of before

    stored.ok("collections", "delete", "default", "--yes")
    assert server.client.get_collections().collections == []


def test_a_renamed_collection_is_found_by_its_new_name_alone(stored: Gircse, notes, server) -> None:
    before = hits(stored, "dough", "--qdrant-url", server.url)

    stored.ok("collections", "rename", "default", "bakery")

    named = ("-c", "bakery", "--qdrant-url", server.url)
    assert hits(stored, "dough", *named) == before
    assert stored("search", "dough", "--qdrant-url", server.url).exit_code == 1
    (notes / "rye.md").write_text("Rye flour for sourdough.\n", encoding="utf-8")
    stored.ok("index", notes, "-c", "bakery")
    assert "Rye" in hits(stored, "rye", "--mode", "lexical", *named)[0][1]


def test_an_address_that_is_not_the_settings_own_gets_no_query(
    stored: Gircse, server, monkeypatch
) -> None:
    monkeypatch.setenv("GIRCSE_QDRANT_URL", "http://127.0.0.1:9")
    asked = len(server.requests)

    refused = stored("search", "dough")

    assert refused.exit_code == 1
    said = " ".join(refused.stderr.split())
    assert server.url in said
    assert "GIRCSE_QDRANT_URL" in said
    assert len(server.requests) == asked


def test_a_model_that_a_server_names_is_not_loaded(stored: Gircse, server) -> None:
    name = server._real("default")
    metadata = server.client.get_collection(name).config.metadata
    for model in ("/tmp/somebody/elses", "somebody/elses-model"):
        metadata["gircse"]["settings"]["model"] = model
        server.client.update_collection(name, metadata=metadata)

        refused = stored("search", "dough", "--qdrant-url", server.url)

        assert refused.exit_code == 2
        assert model in " ".join(refused.stderr.split())
        assert hits(stored, "dough", "--mode", "lexical", "--qdrant-url", server.url)
    assert hits(stored, "dough", "--model", "gircse-minilm", "--qdrant-url", server.url)


def test_vectors_of_another_model_are_not_compared(stored: Gircse, server) -> None:
    name = server._real("default")
    metadata = server.client.get_collection(name).config.metadata
    metadata["gircse"]["settings"]["fingerprint"]["model"]["weights"] = "others"
    server.client.update_collection(name, metadata=metadata)

    refused = stored("search", "dough", "--qdrant-url", server.url)

    assert refused.exit_code == 4
    assert "others" in refused.stderr


def test_a_server_that_is_away_costs_nothing_that_was_indexed(
    stored: Gircse, notes, server
) -> None:
    (notes / "new.txt").write_text("Sharpen the saw.\n", encoding="utf-8")
    server.key = "nobody-has-this"

    away = stored("index", notes)

    assert away.exit_code == 1
    assert "API key" in " ".join(away.stderr.split())
    server.key = ""
    (found, *_) = hits(stored, "sharpen", "--mode", "lexical")
    assert found[1] == "Sharpen the saw."
    assert json.loads(stored.ok("search", "saw", "--format", "json"))["hits"]


def test_verify_compares_qdrant_with_the_collection_and_mends_it(stored: Gircse, server) -> None:
    stored.ok("verify", "default")
    name = server._real("default")
    (point, *_), _ = server.client.scroll(name)
    server.client.delete(name, [point.id])

    found = stored("verify", "default")

    assert found.exit_code != 0
    assert "it holds 2 chunks, the collection 3" in " ".join(found.output.split())
    stored.ok("verify", "default", "--repair")
    stored.ok("verify", "default")
    assert server.client.count(name).count == 3
    assert server._real("default") == name
