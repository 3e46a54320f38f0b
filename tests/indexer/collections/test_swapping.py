"""Searches go on through swaps, rollbacks and kills: no error, and no mixed answer."""

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer.collections.generations import read_generations, sweep
from tests.indexer.generation_making import check_sound, make_collection, open_library
from tests.indexer.swap_searcher import Searching
from tests.indexer.swap_target import change

ROOT = Path(__file__).parents[3]
SEED = 20250611
SWAPS = 25


def start(module: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.indexer.{module}", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "started\n":
        pytest.fail(process.communicate()[1])
    return process


def check_warnings(errors: str) -> None:
    """Check that nothing was said but what a kill within the writing of an index brings about."""
    for line in errors.splitlines():
        assert "belongs to another state of the database" in line or "is built anew" in line


@contextmanager
def another_process_searching(home: Path):
    """Search in a process of its own; give what it saw, once the block is done."""
    process = start("swap_searcher", home)
    seen = {}
    try:
        yield seen
    finally:
        output, errors = process.communicate("", timeout=120)
        assert process.returncode == 0, errors
        check_warnings(errors)
        seen.update(json.loads(output))


def test_searchers_run_through_many_swaps_and_rollbacks(tmp_path):
    home = tmp_path / "home"
    make_collection(home).close()
    choice = random.Random(SEED)
    library = open_library(home)
    with (
        another_process_searching(home) as seen,
        library.open("docs") as writer,
        library.open("docs") as collection,
    ):
        searching = Searching(collection, threads=4)
        live = set()
        for _ in range(SWAPS):
            change(writer, choice)
            live.add(read_generations(writer.directory).live.number)
            begun = searching.searches
            searching.wait(lambda begun=begun: searching.searches >= begun + 8)
        searching.finish()
        check_sound(writer)
    assert len(live) > SWAPS // 3
    assert len(searching.editions) > 3
    assert searching.generations <= live | {1}
    assert len(searching.generations) > len(live) // 2
    assert set(seen["generations"]) <= live | {1}
    assert seen["searches"] > SWAPS
    assert len(seen["generations"]) > 3


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_of_a_swap_or_rollback_leaves_a_sound_collection(tmp_path, kills):
    home = tmp_path / "home"
    make_collection(home).close()
    moments = random.Random(SEED)
    numbers = [1]
    with another_process_searching(home) as seen:
        for kill in range(kills):
            process = start("swap_target", home, kill)
            for _ in range(moments.randint(1, 2)):
                assert process.stdout is not None
                seconds = float(process.stdout.readline())
            time.sleep(moments.uniform(0.0, seconds))  # and so within the next change
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
            check_warnings(errors)
            with open_library(home).open("docs") as collection:
                check_sound(collection)
                numbers.append(read_generations(collection.directory).live.number)
    assert len(set(numbers)) > kills // 4
    assert len(seen["generations"]) > 1
    with open_library(home).open("docs") as collection:
        change(collection, moments)
        sweep(collection.directory)
        generations = read_generations(collection.directory)
        expected = {record.content for record in generations.all}
        expected |= {f"index-{record.number}" for record in generations.all}
        folders = {path.name for path in collection.directory.iterdir() if path.is_dir()}
        assert folders == expected
        check_sound(collection)
