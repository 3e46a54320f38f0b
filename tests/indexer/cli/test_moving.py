"""verify, export, import and snapshot from the command line."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def work(gircse, notes) -> Path:
    gircse.ok("index", notes, "--collection", "work")
    return gircse.home / "collections" / "work"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def found(gircse, collection: str) -> list[tuple[str, float]]:
    answer = gircse.json("search", "dough and water", "--collection", collection)
    return [(hit["chunk_id"], hit["score"]) for hit in answer["hits"]]


def test_a_sound_collection(gircse, work):
    assert "work is sound" in gircse.ok("verify", "work")
    report = gircse.json("verify", "--collection", "work")
    assert report["sound"] is True
    assert report["problems"] == []
    assert report["counts"]["documents"] == 3
    assert "done" not in report


def test_damage_is_named_and_mended(gircse, work):
    flip(work / "index-1" / "index.faiss", 300)
    result = gircse("verify", "work")
    assert result.exit_code == 1
    assert "index-1/index.faiss" in result.stdout
    assert "gircse verify work --repair" in result.stdout
    report = json.loads(gircse("verify", "work", "--format", "json").stdout)
    assert [problem["file"] for problem in report["problems"]] == ["index-1/index.faiss"]

    assert "built anew" in gircse.ok("verify", "work", "--repair")
    assert gircse.json("verify", "work", "--repair")["done"] == []
    assert gircse.ok("verify", "work")


def test_a_collection_that_cannot_be_opened_is_still_examined(gircse, work):
    (work / "generations.json").write_text("{")
    result = gircse("verify", "work")
    assert result.exit_code == 1
    assert "generations.json" in result.stdout


def test_wrong_names(gircse, work):
    assert gircse("verify", "absent").exit_code == 2
    assert gircse("verify", "work", "--collection", "other").exit_code == 2
    assert gircse("export", "absent", "file.zip").exit_code == 2
    assert gircse("import", "absent.zip").exit_code == 2
    assert gircse("snapshot", "restore", "work", "absent").exit_code == 2
    assert gircse("snapshot", "list", "absent").exit_code == 2


def test_out_and_in_again(gircse, work, tmp_path):
    file = tmp_path / "work.zip"
    assert "3 documents" in gircse.ok("export", "work", file)
    result = gircse("export", "work", file)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    described = gircse.json("export", "work", file, "--force")
    assert "content.db" in described["members"]
    assert gircse("import", file).exit_code == 2  # the name is taken
    assert "'copy'" in gircse.ok("import", file, "--name", "copy")
    assert found(gircse, "copy") == found(gircse, "work")
    assert gircse.json("import", file, "--name", "other")["documents"] == 3
    gircse.ok("verify", "copy")

    flip(file, file.stat().st_size // 2)
    result = gircse("import", file, "--name", "broken")
    assert result.exit_code == 1
    assert "nothing was imported" in result.stderr
    assert "broken" not in gircse.ok("collections", "list")


def test_snapshots(gircse, work, notes):
    assert "no snapshot" in gircse("snapshot", "list", "work").stderr
    before = found(gircse, "work")
    assert "'first'" in gircse.ok("snapshot", "create", "work", "first")
    assert gircse.json("snapshot", "create", "work")["documents"] == 3
    assert len(gircse.json("snapshot", "list", "work")) == 2
    (notes / "bread.md").write_text("# Bread\n\nBuy it at the baker's.")
    gircse.ok("index", notes, "--collection", "work")
    assert found(gircse, "work") != before
    assert "rollback" in gircse.ok("snapshot", "restore", "work", "first")
    assert found(gircse, "work") == before
    assert gircse("snapshot", "delete", "work", "first").exit_code == 2  # nobody to ask
    gircse.ok("snapshot", "delete", "work", "first", "--yes")
    assert "first" not in gircse.ok("snapshot", "list", "work")
    gircse.ok("verify", "work")
