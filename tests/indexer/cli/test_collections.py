"""``gircse collections``, ``documents``, ``status`` and ``show``."""

from __future__ import annotations

import json
import os

import pytest

from indexer.collections.library import Library
from indexer.collections.write_lock import WriteLock
from indexer.documents import document_id


@pytest.fixture
def indexed(gircse, notes):
    gircse.ok("index", notes)
    return gircse


def test_without_collections_the_way_to_make_one_is_shown(gircse):
    result = gircse("collections", "list")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "gircse index PATH" in result.stderr
    assert gircse.json("collections", "list") == []


def test_collections_are_listed_with_what_they_hold(indexed, notes):
    indexed.ok("index", notes / "bread.md", "-c", "baking")

    listed = indexed.json("collections", "list")
    lines = indexed.ok("collections", "list").splitlines()

    assert [entry["name"] for entry in listed] == ["baking", "default"]
    assert [entry["documents"] for entry in listed] == [1, 3]
    assert lines[0].split() == ["name", "documents", "chunks", "size", "changed", "steps", "model"]
    assert lines[1].split()[:2] == ["baking", "1"]


def test_a_damaged_collection_is_listed_with_its_problem(indexed):
    (indexed.home / "collections" / "default" / "collection.json").write_text("{", encoding="utf-8")

    result = indexed("collections", "list")

    assert result.exit_code == 0
    assert "default" in result.stdout
    assert "collection.json cannot be read" in result.stderr


def test_a_collection_is_shown_with_its_fingerprint(indexed):
    shown = indexed.json("collections", "show", "default")

    assert shown["documents"] == 3
    assert shown["fingerprint"]["steps"] == 5
    assert shown["directory"] == str(indexed.home / "collections" / "default")
    assert "model.base" in indexed.ok("collections", "show", "default")


def test_a_collection_is_renamed_and_found_under_its_new_name(indexed):
    output = indexed.ok("collections", "rename", "default", "bakery")

    assert "'bakery'" in output
    assert [entry["name"] for entry in indexed.json("collections", "list")] == ["bakery"]
    assert indexed.ok("search", "bread", "-c", "bakery", "--mode", "lexical")
    missing = indexed("search", "bread")
    assert missing.exit_code == 2
    assert "there are: bakery" in missing.stderr


def test_renaming_says_when_the_settings_mean_the_old_name(indexed):
    result = indexed("collections", "rename", "default", "bakery")

    assert result.exit_code == 0
    assert "-c bakery" in result.stderr


def test_a_collection_that_is_written_to_is_not_renamed(indexed):
    with WriteLock(indexed.home / "collections/default", name="default").hold("a backup"):
        result = indexed("collections", "rename", "default", "bakery")

    assert result.exit_code == 1
    assert "a backup" in result.stderr
    assert [entry["name"] for entry in indexed.json("collections", "list")] == ["default"]


@pytest.mark.parametrize("command", [["show"], ["delete", "--yes"]])
def test_an_unknown_collection_is_a_usage_error(indexed, command):
    result = indexed("collections", *command, "work")

    assert result.exit_code == 2
    assert "'work'" in result.stderr
    assert "default" in result.stderr


def test_deleting_asks_with_the_counts_of_what_goes(indexed, notes):
    result = indexed("collections", "delete", "default", input="n\n")
    assert result.exit_code == 1
    assert "3 documents" in result.stderr
    assert Library(indexed.home).names() == ["default"]

    result = indexed("collections", "delete", "default", input="y\n")
    assert result.exit_code == 0
    assert "3 documents" in result.stdout
    assert Library(indexed.home).names() == []
    assert (notes / "bread.md").exists()


def test_deleting_without_anybody_to_ask_deletes_nothing(indexed):
    result = indexed("collections", "delete", "default", input="")

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert Library(indexed.home).names() == ["default"]


def test_deleting_with_yes_asks_nothing(indexed):
    assert "Deleted" in indexed.ok("collections", "delete", "default", "--yes")
    assert Library(indexed.home).names() == []


def test_documents_are_listed_in_pages(indexed, notes):
    every = indexed.json("documents", "list")
    assert [record["source"] for record in every] == sorted(
        str(path) for path in notes.rglob("*") if path.is_file()
    )
    result = indexed("documents", "list", "--limit", "1", "--offset", "1", "--format", "json")
    assert json.loads(result.stdout) == every[1:2]
    assert "--offset 2" in result.stderr
    assert indexed.json("documents", "list", "--where", "type=text") == [
        record for record in every if record["media_type"] == "text"
    ]
    assert every[0]["id"][:8] in indexed.ok("documents", "list")


def test_a_document_is_removed_with_its_chunks_and_its_file_stays(indexed, notes):
    file = notes / "passport.txt"

    result = indexed("documents", "delete", file, input="y\n")

    assert result.exit_code == 0
    assert "Remove 1 document, 1 chunk from 'default'?" in result.stderr
    assert str(file) in result.stderr
    assert file.exists()
    assert indexed.json("search", "passport", "--mode", "lexical")["hits"] == []
    assert len(indexed.json("documents", "list")) == 2
    assert indexed.ok("index", notes).startswith("1 new")


def test_documents_are_found_by_id_prefix_and_path(indexed, notes, monkeypatch):
    file = notes / "bread.md"
    id = document_id(str(file))
    monkeypatch.chdir(notes)

    for name in (id, id.upper(), id[:8], file, "bread.md", "./garden/../bread.md"):
        assert "Mix flour" in indexed.ok("show", name)


def test_documents_are_found_by_a_path_that_is_not_utf8(indexed, notes):
    file = notes / os.fsdecode(b"caf\xe9.txt")
    file.write_text("Coffee is ground late.")
    indexed.ok("index", notes)

    for name in (file, file.name, r"caf\xe9.txt"):
        assert indexed.ok("show", name) == "Coffee is ground late.\n"
    assert indexed("show", os.fsdecode(b"caf\xe8.txt")).exit_code == 2


@pytest.mark.parametrize("name", ["nothing.md", "abc", "ffff0000"])
def test_a_document_that_is_not_there_is_a_usage_error(indexed, name):
    result = indexed("show", name)

    assert result.exit_code == 2
    assert repr(name) in result.stderr
    assert "gircse documents list" in result.stderr


def test_a_document_that_failed_is_shown_with_its_cause(indexed, notes):
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\n")
    indexed("index", notes)

    result = indexed("show", notes / "broken.pdf")

    assert result.exit_code == 2
    assert "failed" in result.stderr


def test_the_end_of_a_path_names_a_document_when_there_is_one_only(indexed, notes):
    assert indexed.json("show", "passport.txt")["source"] == str(notes / "passport.txt")
    assert indexed.json("show", f"{notes.name}/passport.txt")["title"]
    assert indexed("show", "port.txt").exit_code == 2  # whole names alone
    (notes / "old").mkdir()
    (notes / "old" / "passport.txt").write_text("The old form, kept for reference only.")
    indexed.ok("index", notes)

    result = indexed("show", "passport.txt")

    assert result.exit_code == 2
    assert str(notes / "old" / "passport.txt") in result.stderr


def test_show_prints_the_text_alone(indexed, notes):
    assert (
        indexed.ok("show", notes / "passport.txt")
        == "Renew a passport at the town hall. Bring a photograph and the old passport.\n"
    )
    shown = indexed.json("show", notes / "passport.txt")
    assert shown["text"].startswith("Renew")
    assert shown["media_type"] == "text"


def test_show_chunks_lists_the_passages(indexed, notes):
    chunks = indexed.json("show", notes / "bread.md", "--chunks")
    text = indexed.json("show", notes / "bread.md")["text"]

    assert chunks
    assert all(chunk["text"] == text[chunk["start"] : chunk["end"]] for chunk in chunks)
    assert [chunk["start"] for chunk in chunks] == sorted(chunk["start"] for chunk in chunks)
    assert "characters" in indexed.ok("show", notes / "bread.md", "--chunks")


def test_a_page_of_what_has_no_pages_is_a_usage_error(indexed, notes):
    for flags in ([], ["--chunks"]):
        result = indexed("show", notes / "bread.md", "--page", "1", *flags)
        assert result.exit_code == 2
        assert "has no pages" in result.stderr


def test_status_counts_files_by_state(indexed, notes):
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\n")
    indexed("index", notes)

    shown = indexed.ok("status")
    status = indexed.json("status")

    assert status["states"] == {"ready": 3, "failed": 1}
    assert status["mismatch"] is None
    assert status["failures"][0]["source"] == str(notes / "broken.pdf")
    assert "3  files can be searched" in shown
    assert "1  files could not be read" in shown
    failed = indexed.ok("status", "--failed")
    assert failed.startswith(f"failed  {notes / 'broken.pdf'}")
    assert "→" in failed


def test_status_says_that_nothing_failed(indexed):
    result = indexed("status", "--failed")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "No file of 'default' failed" in result.stderr


def test_status_of_a_mismatched_collection_is_exit_code_four(indexed):
    file = indexed.home / "collections" / "default" / "content-1" / "settings.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    stored["fingerprint"]["model"]["base"] = "sha256:of-other-weights"
    del stored["sha256"]
    file.write_text(json.dumps(stored), encoding="utf-8")

    result = indexed("status")

    assert result.exit_code == 4
    assert "3  files can be searched" in result.stdout
    assert "sha256:of-other-weights" in result.stderr


def test_a_collection_of_a_newer_version_is_exit_code_four(indexed):
    file = indexed.home / "collections" / "default" / "collection.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    stored["format_version"] = 999
    del stored["sha256"]
    file.write_text(json.dumps(stored), encoding="utf-8")

    for command in (["search", "x"], ["status"], ["show", "x"], ["documents", "list"]):
        assert indexed(*command).exit_code == 4
