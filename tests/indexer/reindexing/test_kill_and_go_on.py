"""SIGKILL at random moments of a rebuild: the collection is sound, and the rebuild goes on."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexer.collections.generations import read_generations
from indexer.reindexing.rebuild_note import read_note
from indexer.verification.verifier import verify
from tests.indexer.reindexing.rebuilds import Bench

ROOT = Path(__file__).parents[3]
SEED = 20251122
KILLS = 8


def start(bench: Bench, asked: dict[str, object]) -> subprocess.Popen[str]:
    module = "tests.indexer.reindexing.kill_target"
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(bench.folder), json.dumps(asked)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n", process.communicate()
    return process


def finish(bench: Bench, asked: dict[str, object]) -> tuple[int, float]:
    """Let a rebuild finish; return how many texts it embedded, and its seconds."""
    started = time.monotonic()
    output, errors = start(bench, asked).communicate(timeout=180)
    assert errors == ""
    outcome, embedded = output.split()
    assert outcome == "done"
    return int(embedded), time.monotonic() - started


def check_sound(bench: Bench) -> None:
    assert verify(bench.directory).problems == ()
    bench.check()


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{"steps": 3}, {"model": "other", "max_tokens": 60}, {}])
def test_killed_rebuilds_go_on(bench: Bench, tmp_path: Path, asked):
    calm = Bench(tmp_path / "calm")
    calm.write_many()
    calm.index()
    embedded, seconds = finish(calm, asked)
    assert (embedded > 0) == bool(asked)
    moments = random.Random(SEED)
    for _ in range(KILLS):
        process = start(bench, asked if read_generations(bench.directory).live.number == 1 else {})
        time.sleep(moments.uniform(0, 0.6 * seconds))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert "Error" not in errors
        note = read_note(bench.directory)
        assert note is None or not note.is_running
        check_sound(bench)
    finish(bench, asked)
    check_sound(bench)
    with bench.open() as collection, calm.open() as expected:
        assert collection.config.fingerprint == expected.config.fingerprint
    assert set(bench.texts().values()) == set(calm.texts().values())
    assert len(list(bench.directory.glob("content-*"))) <= 2
    assert len(list(bench.directory.glob("index-*"))) <= 2
