"""``gircse reindex`` from outside: flags, output, exit codes, the background, and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexer.collections.generations import read_generations
from indexer.reindexing.drafts import find_draft
from indexer.reindexing.rebuild_note import read_note
from indexer.stores.gpu import gpu_count
from tests.indexer.cli.conftest import Gircse

ROOT = Path(__file__).parents[3]


@pytest.fixture
def indexed(gircse: Gircse, notes: Path) -> Gircse:
    gircse.ok("index", notes)
    gircse.embedder.documents = 0
    return gircse


def directory(gircse: Gircse) -> Path:
    return gircse.home / "collections" / "default"


def live_number(gircse: Gircse) -> int:
    return read_generations(directory(gircse)).live.number


def test_an_index_is_made_anew_without_a_model(indexed: Gircse):
    output = indexed("reindex")
    assert output.exit_code == 0
    assert "'default' is at generation 2 now: 3 chunks of 3 documents, flat index in faiss" in (
        output.stdout
    )
    assert "gircse collections rollback default" in output.stderr
    assert indexed.embedder.documents == 0
    assert "Tomatoes" in indexed.ok("search", "plant tomatoes after frost")


def test_more_steps_embed_everything_anew(indexed: Gircse):
    report = indexed.json("reindex", "default", "--steps", 3)
    assert report["outcome"] == "done"
    assert report["changes"] == ["steps: 5 / 3"]
    assert report["embedded"] == indexed.embedder.documents == 3
    assert (report["before"]["number"], report["after"]["number"]) == (1, 2)
    assert indexed.json("collections", "show", "default")["steps"] == 3
    assert "Bread" in indexed.ok("search", "bake the loaf")
    indexed.ok("collections", "rollback", "default")
    assert indexed.json("collections", "show", "default")["steps"] == 5


def test_a_dry_run_says_what_would_be_done(indexed: Gircse):
    said = indexed.ok("reindex", "--steps", 3, "--chunk-tokens", 50, "--dry-run")
    assert "Would embed 3 documents (3 chunks now) anew:" in said
    assert "steps: 5 / 3" in said
    assert "chunking.max_tokens: 200 / 50" in said
    assert "chunking.overlap_tokens: 20 / 12" in said
    assert "more on the disk" in said
    assert live_number(indexed) == 1
    assert indexed.embedder.documents == 0
    assert "with no model" in indexed.ok("reindex", "--dry-run")
    report = indexed.json("reindex", "--vectors", "fp16", "--dry-run")
    assert (report["outcome"], report["after"], report["embeds"]) == ("planned", None, False)


REFUSED = [
    (["--index", "octree"], "no index type 'octree'; known: flat, sqfp16, sq8, hnsw"),
    (["--index", "octree"], "or auto, to choose"),
    (["--store", "oracle"], "no store 'oracle'"),
    (["--budget-ms", "0"], "--budget-ms is 0"),
    (["--index", "flat", "--budget-mb", "10"], "--index flat has chosen"),
    (["--store", "qdrant", "--index", "flat"], "Qdrant chooses its own index"),
    (["--steps", "99"], "refines by 0 to 64 steps, not 99"),
    (["--chunk-tokens", "3"], "chunks of 3 tokens"),
    (["--model", "nobody/nothing"], "nobody/nothing"),
    (["--cancel", "--steps", "2"], "--cancel goes alone; leave --steps=2 out"),
    (["--cancel", "--dry-run"], "leave --dry-run out"),
    (["other", "-c", "default"], "two collections are named"),
]


def test_wrong_usage_is_refused_before_anything_is_done(indexed: Gircse):
    before = sorted(path.name for path in directory(indexed).iterdir() if path.is_dir())
    for flags, message in REFUSED:
        for more in [[]] if "--cancel" in flags else [[], ["--background"]]:
            result = indexed("reindex", *flags, *more)
            assert result.exit_code == 2, flags
            assert message in " ".join(result.stderr.split())
            after = sorted(path.name for path in directory(indexed).iterdir() if path.is_dir())
            assert after == before, flags
    assert "rebuild" not in indexed.ok("status")  # what was refused was none


def test_a_choice_explains_itself_before_and_after(indexed: Gircse):
    planned = indexed.ok("reindex", "--index", "auto", "--dry-run")
    assert "Index: flat, in faiss; now: flat, in faiss" in planned
    assert "3 vectors of width" in planned
    assert "keeps within 50 ms (the default)" in planned
    done = indexed.ok("reindex", "--budget-mb", 0.001)
    assert "nothing keeps within 50 ms (the default) and 0.001 MB; sq8 (about" in done
    assert "Measured, it takes 0.0 MB, more than that" in done
    assert "Measured: recall@10 1.000 against exact search" in done
    assert "more than that" in indexed.ok("collections", "show", "default")
    planned = indexed.ok("reindex", "--index", "hnsw", "--dry-run")
    assert "nothing keeps within" not in planned  # that was why the present one was chosen


def test_one_line_says_what_builds_and_searches(indexed: Gircse):
    result = indexed("reindex")
    expected = "FAISS uses a GPU" if gpu_count() else "FAISS sees no GPU: uses the CPU."
    assert expected in result.stderr


def test_a_type_that_is_for_many_vectors_is_said_to_be_flat(indexed: Gircse):
    assert "built as flat" in indexed.ok("reindex", "--index", "hnsw")
    shown = indexed.json("collections", "show", "default")["live"]
    assert (shown["index"], shown["measured"]["index_type"]) == ("hnsw", "flat")


def test_a_store_that_is_nowhere_is_refused_before_anything_is_done(indexed: Gircse):
    for more in ([], ["--dry-run"], ["--background"]):
        result = indexed("reindex", "--store", "qdrant", *more)
        assert result.exit_code == 1
        assert "no Qdrant is configured" in result.stderr
    assert indexed.json("status")["rebuild"] is None


def test_an_unknown_collection_is_named(indexed: Gircse):
    result = indexed("reindex", "other")
    assert result.exit_code == 2
    assert "there is no collection 'other'" in result.stderr


def test_there_may_be_nothing_to_cancel(indexed: Gircse):
    result = indexed("reindex", "--cancel")
    assert result.exit_code == 0
    assert "no rebuild of 'default'" in result.stderr


def environment(gircse: Gircse) -> dict[str, str]:
    return os.environ | {"GIRCSE_HOME": str(gircse.home), "PYTHONPATH": str(ROOT)}


def start(gircse: Gircse, *flags: object) -> subprocess.Popen[str]:
    """Run the command with the real model in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "indexer.cli", "reindex", *map(str, flags)],
        env=environment(gircse),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition, *, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def write_more(folder: Path, count: int = 60) -> None:
    for number in range(count):
        text = " ".join(f"Sentence {part} of note {number} on its subject." for part in range(30))
        (folder / f"note-{number}.md").write_text(f"# Note {number}\n\n{text}\n")


@pytest.mark.slow
def test_the_real_model_in_the_background_is_followed_and_cancelled(indexed: Gircse, notes: Path):
    write_more(notes)
    indexed.ok("index", notes)
    said = indexed.ok("reindex", "--steps", 4, "--background")
    pid = read_note(directory(indexed)).pid
    assert f"Process {pid} rebuilds 'default'" in said
    wait_until(lambda: read_note(directory(indexed)).done > 0)
    said = indexed.ok("status")
    assert f"being rebuilt by process {pid}" in said
    assert "steps: 5 / 4" in said
    assert indexed.json("status")["rebuild"]["state"] == "running"
    result = indexed("reindex")
    assert result.exit_code == 1
    assert "is being rebuilt by process" in result.stderr
    assert "Given up" in indexed.ok("reindex", "--cancel")
    assert live_number(indexed) == 1
    assert find_draft(directory(indexed)) is None
    assert indexed.json("status")["rebuild"] is None
    log = indexed.home / "logs" / "reindex-default.log"
    assert "Embedding" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_the_real_model_is_interrupted_and_gone_on_with(indexed: Gircse, notes: Path):
    write_more(notes)
    indexed.ok("index", notes)
    process = start(indexed, "--steps", 1)
    wait_until(lambda: (note := read_note(directory(indexed))) is not None and note.done > 0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Stopping after the current batch" in errors
    assert "go on with: gircse reindex default" in " ".join(errors.split())
    assert live_number(indexed) == 1
    assert "was stopped at" in indexed.ok("status")
    assert "was stopped at" in indexed.ok("collections", "show", "default")
    process = start(indexed, "--format", "json")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    report = json.loads(output)
    assert report["resumes"]
    assert report["embedded"] < report["chunks"]
    assert report["steps"] == 1
    assert live_number(indexed) == 2


def test_an_error_in_the_background_is_told_at_once(indexed: Gircse):
    note = directory(indexed) / "reindex.lock"
    from filelock import FileLock

    with FileLock(note):
        result = indexed("reindex", "--background")
    assert result.exit_code == 1
    assert "is being rebuilt by" in " ".join(result.stderr.split())
