"""A flipped byte in any file of a collection is found, and the file named."""

import random

import pytest

from indexer.transfer.snapshots import create_snapshot, restore_snapshot
from indexer.verification.verifier import verify
from tests.indexer.verification.collections import Place, make_place

SEEDS = range(12)
FLIPS_PER_SEED = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    return make_place(tmp_path_factory.mktemp("place"))


def test_an_untouched_collection_is_sound(place):
    report = verify(place.directory)
    assert report.is_sound, report.problems
    assert report.remarks == ()
    assert report.counts["documents"] == report.counts["files"] == 6
    assert report.counts["vectors"] == report.counts["passages"] > 6
    assert report.counts["sampled searches"] == report.counts["passages"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flipped_byte_is_found_and_its_file_named(place, tmp_path, seed):
    choice = random.Random(seed)
    clean = {
        path.relative_to(place.directory): path.read_bytes()
        for path in sorted(place.directory.rglob("*"))
        if path.is_file() and path.stat().st_size
    }
    assert len(clean) == 8
    for number in range(FLIPS_PER_SEED):
        (tmp_path / str(number)).mkdir()
        copy = place.copy(tmp_path / str(number))
        name = choice.choice(list(clean))
        content = bytearray(clean[name])
        position = choice.randrange(len(content))
        content[position] ^= choice.randrange(1, 256)
        (copy.directory / name).write_bytes(content)

        report = verify(copy.directory)

        found = {problem.file for problem in report.problems}
        assert name.as_posix() in found, (name, position, content[position], report)


@pytest.mark.parametrize("seed", range(4))
def test_so_is_one_in_a_snapshot_or_in_the_previous_generation(place, tmp_path, seed):
    copy = place.copy(tmp_path)
    with copy.library.open("docs") as collection:
        create_snapshot(collection, "first")
        restore_snapshot(collection.directory, "first")
    choice = random.Random(seed)
    files = [path for path in sorted(copy.directory.rglob("*")) if path.is_file()]
    others = ("snapshots/", "content-1/", "index-1/")
    names = [path.relative_to(copy.directory).as_posix() for path in files if path.stat().st_size]
    for name in choice.sample([name for name in names if name.startswith(others)], 4):
        path = copy.directory / name
        clean = path.read_bytes()
        content = bytearray(clean)
        position = choice.randrange(len(content))
        content[position] ^= choice.randrange(1, 256)
        path.write_bytes(content)
        report = verify(copy.directory)
        assert name in {problem.file for problem in report.problems}, (name, position, report)
        path.write_bytes(clean)
    assert verify(copy.directory).is_sound


def test_every_byte_of_the_small_files_counts(place, tmp_path):
    copy = place.copy(tmp_path)
    for name in ("collection.json", "content-1/collection.seal.json", "index-1/index.json"):
        path = copy.directory / name
        clean = path.read_bytes()
        for position in range(0, len(clean), 5):
            content = bytearray(clean)
            content[position] ^= 1
            path.write_bytes(content)
            assert name in {problem.file for problem in verify(copy.directory).problems}, position
        path.write_bytes(clean)
    assert verify(copy.directory).is_sound
