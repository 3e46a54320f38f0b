"""What the commands say of generations, and the way back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from indexer.collections.generations import read_generations, update
from indexer.collections.library import Collection, Library
from indexer.collections.search_defaults import SearchDefaults
from tests.indexer.generation_making import draft_index, renamed, swap


@pytest.fixture
def indexed(gircse, notes):
    gircse.ok("index", notes)
    return gircse


@pytest.fixture
def collection(indexed) -> Iterator[Collection]:
    with Library(indexed.home).open("default") as collection:
        yield collection


def test_a_new_collection_has_one_generation(indexed):
    shown = indexed.json("collections", "show", "default")

    assert shown["live"]["number"] == 1
    assert (shown["live"]["store"], shown["live"]["index"]) == ("faiss", "flat")
    assert (shown["live"]["model"], shown["live"]["steps"]) == ("gircse-minilm", 5)
    assert shown["previous"] is None
    assert shown["search_defaults"] == {"dense_weight": None, "steps": None}
    text = indexed.ok("collections", "show", "default")
    assert "generation 1, made 20" in text
    assert "not tuned" in text
    assert "previous" not in text


def test_both_generations_are_shown_with_what_was_measured_and_why(indexed, collection):
    record = renamed(
        draft_index(collection),
        index="sqfp16",
        why="exact enough, half the memory",
        measured={
            "index_type": "sqfp16",
            "vectors": 100_000,
            "queries": 100,
            "recall_at_10": 0.99812,
            "median_ms": 3.25,
            "p95_ms": 14.2,
            "size_bytes": 38_400_000,
        },
    )
    swap(collection, renamed(record, index="flat"))
    update(collection.directory, record)
    collection.set_search_defaults(SearchDefaults(dense_weight=0.7, steps=3))

    shown = indexed.json("collections", "show", "default")
    assert shown["live"]["measured"]["recall_at_10"] == 0.99812
    assert (shown["live"]["index"], shown["previous"]["number"]) == ("sqfp16", 1)
    assert shown["search_defaults"] == {"dense_weight": 0.7, "steps": 3}
    lines = dict(
        line.split("  ", 1) for line in indexed.ok("collections", "show", "default").splitlines()
    )
    said = {label: text.strip() for label, text in lines.items()}
    assert said["live"].startswith("generation 2, made 20")
    assert said["live.index"] == "sqfp16"
    assert said["live.why"] == "exact enough, half the memory"
    assert said["live.measured"] == (
        "recall@10 0.998 against exact search, 3.2 ms a search at the median, 14 ms at 95 %,"
        " 38.4 MB (100 samples, 100,000 vectors)"
    )
    assert said["live.vectors"] == "fp32"
    assert said["previous.measured"].startswith("not yet: gircse reindex default measures")
    assert said["previous"].startswith("generation 1")
    assert said["searched with"] == "dense weight 0.7, 3 steps"


def test_a_rollback_returns_and_says_where_to(indexed, collection):
    swap(collection, draft_index(collection))

    result = indexed("collections", "rollback", "default")

    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "'default' is back at generation 1 (flat index in faiss); generation 2 is kept as the"
        " previous one.\n"
    )
    assert result.stderr == ""
    assert read_generations(collection.directory).live.number == 1
    assert indexed.json("search", "old passport")["hits"]
    assert "back at generation 2" in indexed.ok("collections", "rollback", "default")


def test_a_rollback_to_another_content_says_what_is_not_in_it(indexed, notes):
    indexed.ok("reindex", "default", "--steps", "0")
    (notes / "bees.txt").write_text("Bees swarm in May.\n", encoding="utf-8")
    (notes / "bread.md").unlink()
    indexed.ok("index", notes, "--prune")

    result = indexed("collections", "rollback", "default")

    assert result.exit_code == 0, result.output
    assert "Not in it: 1 document" in result.stderr
    assert "In it again: 1 document" in result.stderr
    assert indexed.json("collections", "show", "default")["steps"] == 5
    assert indexed.ok("index", notes, "--prune").startswith("1 new, 0 updated, 2 unchanged, 1 rem")


def test_a_rollback_leads_away_from_what_cannot_be_opened(indexed, collection):
    directory = collection.directory
    indexed.ok("reindex", "default", "--steps", "0")
    (directory / "content-2" / "collection.db").unlink()
    refused = indexed("search", "old passport")
    assert refused.exit_code == 1
    assert "`gircse verify default` tells what to do" in refused.stderr
    assert "gircse collections rollback default" in indexed("verify", "default").stdout

    result = indexed("collections", "rollback", "default")

    assert result.exit_code == 0, result.output
    assert "back at generation 1" in result.stdout
    assert "Generation 2 cannot be read any more" in result.stderr
    assert indexed.json("search", "old passport")["hits"]


def test_without_a_previous_generation_there_is_no_way_back(indexed):
    result = indexed("collections", "rollback", "default")

    assert result.exit_code == 2
    assert "has no previous generation" in result.stderr
    assert "gircse reindex" in result.stderr


def test_a_rollback_during_a_run_is_refused(indexed, collection):
    swap(collection, draft_index(collection))
    with collection.write_lock("indexing"):
        result = indexed("collections", "rollback", "default")

    assert result.exit_code == 1
    assert "is being written by this process (indexing" in result.stderr


def test_a_previous_generation_that_was_damaged_is_told_and_not_taken(indexed, collection):
    indexed.ok("reindex", "default", "--steps", "0")
    (collection.directory / "content-1" / "settings.json").write_text("{", encoding="utf-8")

    assert "settings.json cannot be read" in indexed.ok("collections", "show", "default")
    result = indexed("collections", "rollback", "default")
    assert result.exit_code == 1
    assert "settings.json cannot be read" in result.stderr
    assert indexed.json("collections", "show", "default")["steps"] == 0
