"""The same with Ray itself, on this machine."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexer.collections.library import Library
from indexer.distributed.cluster import RayCluster
from indexer.distributed.engine import RayEngine
from indexer.distributed.listening import exposed_addresses
from indexer.distributed.shards import SHARD_SUFFIX
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.indexer.distributed.comparing import assert_equal
from tests.indexer.distributed.ray_target import DEADLY, deadly_model
from tests.indexer.fake_model import FakeEmbedder

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray warns of what it itself does
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason="Ray is not installed: pip install 'gircse-search[ray]'",
    ),
]

ROOT = Path(__file__).parents[3]
PATIENCE_S = 400


@pytest.fixture(scope="module")
def cluster():
    with RayCluster(cpus=2) as cluster:
        yield cluster


def on_ray(world, cluster, collection, **options):
    engine = RayEngine(collection, cluster, model=deadly_model(world.model), jobs=1)
    return engine.index([world.folder], options=IndexOptions(**options))


def here(world, name: str = "here"):
    collection = world.collection(name)
    index_paths(
        collection,
        [world.folder],
        embedder=lambda: FakeEmbedder(world.model),
        options=IndexOptions(),
    )
    return collection


def write_all(world) -> None:
    world.write_papers(70)
    world.write("broken.pdf", b"%PDF-1.4\nnothing more")
    world.write("empty.md", b"")
    world.write("twin.md", (world.folder / "001.md").read_bytes())
    world.write(os.fsdecode(b"odd-\xff.md"), "# Odd\n\nA name of other bytes.")


def test_ray_listens_on_the_loopback_interface_and_reports_to_nobody(cluster):
    note = cluster.start()
    assert "It listens on the loopback interface alone, and wants this run's token" in note
    assert exposed_addresses(os.getpid()) == []
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    import ray

    folder = Path(ray._private.worker._global_node.get_session_dir_path()).parents[1]
    assert folder.stat().st_mode & 0o077 == 0


def test_ray_makes_the_same_collection(world, cluster):
    write_all(world)
    collection = world.collection("there")
    report = on_ray(world, cluster, collection)
    assert (report.new, report.failed, report.no_text) == (72, 1, 1)
    assert_equal(collection, here(world))
    assert not (collection.directory / "shards").exists()
    world.write("003.md", "# Paper 3\n\nRevised.")
    assert on_ray(world, cluster, collection).updated == 1


def test_a_file_that_kills_its_process_fails_alone(world, cluster):
    world.write_papers(3)
    deadly = world.write("deadly.md", f"# Deadly\n\n{DEADLY}")
    collection = world.collection("there")
    # another portion, without which the cluster would be said to do nothing
    world.write("large.txt", "A long text. " * 200_000)
    report = on_ray(world, cluster, collection)
    assert (report.new, report.failed) == (4, 1)
    (failed,) = report.outcomes
    assert failed.source == str(deadly)
    assert "each time it was tried" in failed.message


def start(home: Path, files: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.indexer.distributed.ray_target", str(home), str(files)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, process) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shards(home: Path) -> list[Path]:
    return list(home.glob(f"collections/docs/shards/*/*{SHARD_SUFFIX}"))


def session_of(process) -> list[str]:
    """Return the command lines of what is left of a process and its children."""
    listing = subprocess.run(
        ["ps", "-o", "args=", "--sid", str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.splitlines()


def folders() -> set[str]:
    return {path.name for path in Path("/tmp").glob("gircse-ray-*")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_goes_on(world, tmp_path, number):
    world.write_papers(200)
    home = tmp_path / "home"
    before = folders()
    process = start(home, world.folder)
    # killed where shards wait, interrupted where files are stored
    wait_for(lambda: shards(home) or is_storing(world), process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.kill()
    output, errors = process.communicate(timeout=PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while session_of(process) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert session_of(process) == []
    if number == signal.SIGINT:
        assert "interrupted: True" in output
        assert folders() <= before
    assert "Traceback" not in errors
    again = start(home, world.folder)
    output, errors = again.communicate(timeout=PATIENCE_S)
    assert "interrupted: False" in output, errors
    assert folders() <= before  # those of the killed run were swept
    assert shards(home) == []
    with Library(home, resolve=lambda name: world.model).open("docs") as collection:
        assert_equal(collection, here(world))


def is_storing(world) -> bool:
    if "docs" not in world.library.names():
        return False
    with world.library.open("docs") as collection:
        return collection.ledger.counts()["ready"] > 0


def test_the_command_with_the_default_model(tmp_path):
    def gircse(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "indexer.cli", "--home", str(tmp_path / "home"), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )

    files = tmp_path / "files"
    files.mkdir()
    for number, path in enumerate(sorted((ROOT / "data").rglob("*.md"))[:12]):
        copy = files / f"{number}-{path.name}"
        copy.write_bytes(path.read_bytes())
        os.utime(copy, (1_600_000_000, 1_600_000_000))
    there = gircse("index", str(files), "-c", "there", "--engine", "ray")
    assert there.returncode == 0, there.stderr
    assert there.stderr.count("Ray runs on this machine.") == 1
    assert "Warning" not in there.stderr
    assert "Error" not in there.stderr
    assert gircse("index", str(files), "-c", "here").returncode == 0
    library = Library(tmp_path / "home")
    with library.open("there") as one, library.open("here") as other:
        assert len(one.archive) > 20
        assert_equal(one, other)
