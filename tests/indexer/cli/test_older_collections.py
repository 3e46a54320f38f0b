"""Collections that were made before the default model could refine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexer.embedder import model_info


@pytest.fixture
def older(gircse, notes, tmp_path):
    """A home with the collection ``default`` as the model without an adapter made it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gircse_core.registry._SHIPPED", tmp_path / "nothing-shipped")
        assert model_info("gircse-minilm").max_steps == 0
        gircse.ok("index", notes)
    shown = gircse.json("collections", "show", "default")
    assert shown["fingerprint"]["model"]["adapter"] == "none"
    assert shown["steps"] == 0
    return gircse


def test_new_files_join_them_at_zero_steps(older, notes):
    assert older.ok("index", notes).startswith("0 new, 0 updated, 3 unchanged")
    (notes / "bees.txt").write_text("Bees swarm in May.\n", encoding="utf-8")
    for flags in ([], ["--model", "gircse-minilm"], ["--steps", "0"]):
        result = older("index", notes, *flags)
        assert result.exit_code == 0, result.output
    assert older.json("collections", "show", "default")["steps"] == 0
    assert older.json("search", "bees swarm")["hits"][0]["source"] == str(notes / "bees.txt")


def test_questions_get_as_many_steps_as_the_documents_unless_told_otherwise(older, notes):
    by_default = older("search", "old passport", "--mode", "dense")
    assert "dense · 0 steps · load" in by_default.stderr
    refined = older.json("search", "old passport", "--mode", "dense", "--steps", "5")
    assert refined["steps"] == 5
    assert refined["hits"][0]["source"] == str(notes / "passport.txt")


def test_more_steps_for_their_documents_are_refused_with_both_numbers(older, notes):
    result = older("index", notes, "--steps", "5")

    assert result.exit_code == 4
    assert "steps: 0 / 5" in result.stderr
    assert "--steps 0" in result.stderr


def test_new_collections_beside_them_are_refined(older, notes):
    older.ok("index", notes, "--collection", "new")

    assert older.json("collections", "show", "new")["steps"] == 5
    assert older.json("search", "old passport", "--collection", "new")["steps"] == 5
    file = Path(older.home) / "collections" / "new" / "content-1" / "settings.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert stored["fingerprint"]["model"]["adapter"].startswith("sha256:")
