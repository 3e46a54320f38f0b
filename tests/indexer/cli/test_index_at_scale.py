"""``gircse index`` within limits, on several devices, in half precision; and ``gircse watch``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from indexer import embedder
from indexer.collections.library import Library

ROOT = Path(__file__).parents[3]
GIRCSE = [sys.executable, "-m", "indexer.cli"]


@pytest.fixture
def start():
    """Start the command in a process of its own, which does not outlive the test."""
    processes = []

    def run(home: Path, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*GIRCSE, *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "GIRCSE_HOME": str(home), "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def test_half_precision_is_chosen_once_and_scores_come_from_what_is_stored(gircse, notes):
    gircse.ok("index", notes, "--vectors", "fp16")
    again = gircse("index", notes, "--vectors", "fp32")
    assert again.exit_code == 2
    assert "keeps its vectors in fp16, not fp32. Leave" in again.stderr
    gircse.ok("index", notes, "--vectors", "fp16")
    (hit, *_) = gircse.json("search", "bake a loaf of bread", "--mode", "dense")["hits"]
    with Library(gircse.home).open("default") as collection:
        assert collection.config.vectors == collection.archive.vectors == "fp16"
        (path,) = (collection.archive._segments.folder).glob("*.npy")
        kept = np.load(path, mmap_mode="r").astype(np.float64)
    (query,) = gircse.embedder.embed_queries(["bake a loaf of bread"])
    cosines = kept @ query / np.linalg.norm(kept, axis=1)
    assert hit["dense"]["score"] == pytest.approx(cosines.max(), abs=1e-6)


def test_too_little_memory_is_refused_with_what_is_needed(gircse, notes):
    refused = gircse("index", notes, "--max-memory", 300)
    assert refused.exit_code == 2
    assert "allow at least 384 MiB" in refused.stderr
    assert gircse("index", notes, "--max-memory", 0).exit_code == 2
    assert gircse.json("collections", "list") == []  # none was made for what was refused


def test_a_memory_limit_is_kept_by_reading_fewer_files_at_once(gircse, notes):
    done = gircse("index", notes, "--max-memory", 700, "--jobs", 4)
    assert done.exit_code == 0
    assert "3 new" in done.stdout
    assert "within --max-memory of 700 MiB, 1 of 4 processes read files, each has" in done.stderr


def test_tokens_per_batch_and_the_device_reach_the_model(gircse, notes, monkeypatch):
    asked = []

    def load(model, **options):
        asked.append(options)
        return gircse.embedder

    monkeypatch.setattr(embedder, "load_embedder", load)
    gircse.ok("index", notes, "--batch-tokens", 512, "--devices", "cpu")
    assert asked == [{"device": "cpu", "dtype": None, "batch_tokens": 512}]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--devices", "cpu,gpu"], "--devices names 'gpu'; expected cpu, cuda"),
        (["--devices", ""], "--devices names ''"),
        (["--devices", "cpu,cpu", "--device", "cpu"], "exclude each other"),
    ],
)
def test_devices_that_are_none_are_refused(gircse, notes, flags, words):
    refused = gircse("index", notes, *flags)
    assert refused.exit_code == 2
    assert words in refused.stderr


@pytest.mark.slow
def test_two_model_processes_index_as_one_model_does(start, tmp_path, notes):
    found = []
    for name, devices in (("one", "cpu"), ("two", "cpu,cpu")):
        process = start(tmp_path, "index", notes, "-c", name, "--devices", devices)
        assert process.wait(300) == 0, process.communicate()
        with Library(tmp_path).open(name) as collection:
            for chunks, vectors in collection.store.scroll():
                ids = [chunk.chunk.id for chunk in chunks]
                found.append(dict(zip(ids, vectors, strict=True)))
    one, two = found
    assert set(one) == set(two)
    assert min(one[name] @ two[name] for name in one) > 0.999


@pytest.mark.slow
def test_ctrl_c_ends_a_run_on_several_devices_and_leaves_no_process(start, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number}.md").write_text(f"# {number}\n\n" + f"Note {number} on a thing. " * 60)
    process = start(tmp_path / "home", "index", folder, "--devices", "cpu,cpu", "--format", "json")
    status = [GIRCSE[0], *GIRCSE[1:], "status", "--format", "json"]
    environment = {**os.environ, "GIRCSE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        done = subprocess.run(status, env=environment, capture_output=True, text=True)
        if done.returncode == 0 and json.loads(done.stdout)["documents"] > 0:
            break
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text().split()]
    assert len(children) >= 3
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "nothing is lost" in errors
    report = json.loads(output)
    assert report["interrupted"]
    assert 0 < report["new"] < 1000
    for child in children:
        assert not Path(f"/proc/{child}").exists()


@pytest.mark.slow
def test_a_watched_folder_is_searchable_and_ctrl_c_ends_it(start, tmp_path, notes):
    process = start(tmp_path, "watch", notes, "--settle", "0.2")
    lines = iter(process.stdout)
    first = [next(lines) for _ in range(3)]
    assert all(" new  " in line for line in first)
    (notes / "cats.md").write_text("# Cats\n\nA cat sleeps most of the day.\n")
    line = next(lines)
    assert "cats.md (1 chunk)" in line
    (notes / "cats.md").unlink()
    line = next(lines)
    assert "removed" in line
    assert "cats.md" in line
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "3 new" in errors
    assert "Traceback" not in errors


def test_a_folder_that_is_not_there_is_not_watched(gircse, tmp_path):
    refused = gircse("watch", tmp_path / "gone")
    assert refused.exit_code == 2
    assert "does not exist" in refused.stderr
    assert not (tmp_path / "home" / "collections").exists()
