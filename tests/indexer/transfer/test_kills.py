"""SIGKILL at steps all over a command's work: the collection stays sound, and goes on."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.transfer.exporting import export_collection
from indexer.transfer.snapshots import create_snapshot, restore_snapshot
from indexer.verification.verifier import verify
from tests.indexer.verification.collections import Place, make_place, manifest_of, open_place

ROOT = Path(__file__).parents[3]
KILLS = 3


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Place:
    """A collection with a snapshot and two generations, an archive of it, and a new file."""
    place = make_place(tmp_path_factory.mktemp("origin"))
    with place.library.open("docs") as collection:
        export_collection(collection, place.folder / "docs.zip")
        create_snapshot(collection, "first")
        restore_snapshot(collection.directory, "first")
    (place.files / "new.md").write_text("A new paper about things. " * 40)
    return place


def run(origin: Place, home: Path, operation: str, *, event: int) -> subprocess.Popen[str]:
    """Run an operation on a fresh home, to its end or to the given step of its work."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(origin.home, home)
    return start(origin, home, operation, event=event)


def start(origin: Place, home: Path, operation: str, *, event: int) -> subprocess.Popen[str]:
    target = ["tests.indexer.transfer.kill_target", str(origin.folder), str(home), operation]
    counts = str(home.parent / "counts")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.kill_at", str(home), str(event), "0", counts, *target],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, errors = process.communicate()
    assert process.returncode == (-9 if event else 0), errors
    return process


def sources(place: Place, name: str = "docs") -> list[str]:
    with place.library.open(name) as collection:
        return [one.source for one in collection.store.documents()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "operation", ["index", "snapshot", "restore", "rollback", "export", "import"]
)
def test_what_is_killed_leaves_a_sound_collection(origin, tmp_path, operation):
    home = tmp_path / "home"
    run(origin, home, operation, event=0)
    place = open_place(origin.folder, home)
    expected = {name: sources(place, name) for name in place.library.names()}
    events = int((tmp_path / "counts").read_text())
    choice = random.Random(operation)
    # rolling back and swapping are a few steps among many: the last ones matter most
    moments = [choice.randint(1, events) for _ in range(KILLS)]
    moments += [choice.randint(events * 3 // 4, events) for _ in range(KILLS)]
    for event in moments:
        run(origin, home, operation, event=event)
        for name in place.library.names():
            report = verify(place.library.directory(name))
            assert report.is_sound, (event, report.problems)
        if operation == "export":
            assert not (home / "out.zip").exists() or manifest_of(home / "out.zip").documents == 6
        elif operation == "rollback":
            assert len(sources(place)) == 6
        is_done = {"import": "copy" in place.library.names()}
        is_done["snapshot"] = (place.directory / "snapshots" / "second").exists()
        if operation != "rollback" and not is_done.get(operation, False):
            start(origin, home, operation, event=0)
            assert {name: sources(place, name) for name in place.library.names()} == expected
            assert verify(place.directory).is_sound


@pytest.mark.slow
def test_a_killed_repair_keeps_what_was_damaged(origin, tmp_path):
    home = tmp_path / "home"

    def damage() -> bytes:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(origin.home, home)
        path = home / "collections" / "docs" / "content-2" / "vectors" / "00000.npy"
        content = bytearray(path.read_bytes())
        content[300] ^= 0xFF
        path.write_bytes(content)
        return bytes(content)

    damaged = damage()
    start(origin, home, "repair", event=0)
    events = int((tmp_path / "counts").read_text())
    choice = random.Random("repair")
    for _ in range(2 * KILLS):
        damage()
        start(origin, home, "repair", event=choice.randint(events // 3, events))
        kept = [path.read_bytes() for path in home.rglob("00000.npy")]
        assert damaged in kept
        start(origin, home, "repair", event=0)
        assert damaged in [path.read_bytes() for path in home.rglob("00000.npy")]
        place = open_place(origin.folder, home)
        place.index()
        report = verify(place.directory)
        assert report.is_sound, report.problems
