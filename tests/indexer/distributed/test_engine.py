"""A whole run by shards, with the halves of the pipeline in this process."""

import os
import threading
from pathlib import Path

import pytest

from indexer.distributed import embedding, work
from indexer.distributed import engine as engine_module
from indexer.distributed import feed as feed_module
from indexer.distributed.cluster import ClusterError, ClusterShape
from indexer.distributed.engine import RayEngine
from indexer.distributed.known import read_known
from indexer.distributed.shards import SHARD_SUFFIX
from indexer.errors import StorageError
from indexer.extraction.protocol import unpack_path
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from indexer.verification.verifier import verify
from tests.indexer.distributed.comparing import assert_equal
from tests.indexer.distributed.in_process import InProcess, cluster_model
from tests.indexer.fake_model import FakeEmbedder


class NoCluster:
    """Stands for a cluster that is this process."""

    def __init__(self) -> None:
        self.started = 0
        self.is_stopped = threading.Event()

    def start(self) -> str:
        self.started += 1
        self.is_stopped.clear()
        return "here"

    def stop(self) -> None:
        self.is_stopped.set()

    def shape(self) -> ClusterShape:
        return ClusterShape(cpus=(2,), gpus=0)


class Runs:
    """Makes engines, whose jobs a test may spoil."""

    def __init__(self, world, monkeypatch) -> None:
        self.world = world
        self.cluster = NoCluster()
        self.jobs: list[InProcess] = []
        self.spoiled = {}
        monkeypatch.setattr(engine_module, "RayJob", self._job)

    def _job(self, job, pools):
        made = InProcess(job, is_stopped=self.cluster.is_stopped.is_set, **self.spoiled)
        made.known = read_known(job.folder)
        self.jobs.append(made)
        return made

    def index(self, collection, *, options=None, should_stop=lambda: False, **more):
        engine = RayEngine(collection, self.cluster, model=cluster_model(self.world.model), **more)
        return engine.index(
            [self.world.folder], options=options or IndexOptions(), should_stop=should_stop
        )

    def asked(self) -> list[str]:
        return sorted(name for job in self.jobs for portion in job.asked for name in portion)


@pytest.fixture
def runs(world, monkeypatch):
    return Runs(world, monkeypatch)


def here(world, name: str = "here"):
    """Index in the ordinary way."""
    collection = world.collection(name)
    report = index_paths(
        collection,
        [world.folder],
        embedder=lambda: FakeEmbedder(world.model),
        options=IndexOptions(),
    )
    return collection, report


def write_all(world) -> None:
    world.write_papers(70)
    world.write("broken.pdf", b"%PDF-1.4\nnothing more")
    world.write("empty.md", b"")
    world.write("binary.xyz", bytes(range(256)) * 8)
    world.write("twin.md", (world.folder / "001.md").read_bytes())
    world.write(os.fsdecode(b"odd-\xff.md"), "# Odd\n\nA name of other bytes.")


def shards(collection) -> list:
    return sorted((collection.directory / "shards").rglob(f"*{SHARD_SUFFIX}"))


def numbers(report):
    return (report.new, report.updated, report.unchanged, report.failed, report.no_text)


def test_both_engines_make_the_same_collection(world, runs):
    write_all(world)
    collection = world.collection("there")
    report = runs.index(collection)
    other, expected = here(world)
    assert_equal(collection, other)
    for name in ("new", "failed", "no_text", "skipped", "chunks", "embedded", "reused"):
        assert getattr(report, name) == getattr(expected, name), name
    assert shards(collection) == []
    assert not (collection.directory / "shards").exists()


def test_changed_files_and_unchanged_ones(world, runs):
    write_all(world)
    collection = world.collection("there")
    runs.index(collection)
    world.write("003.md", "# Paper 3\n\nRevised.")
    (world.folder / "004.md").unlink()
    world.write("broken.pdf", "no pdf at all any more")
    report = runs.index(collection, options=IndexOptions(prune=True))
    assert (report.updated, report.removed) == (1, 1)
    assert sorted(runs.jobs[1].asked[0]) == ["003.md", "broken.pdf"]
    other, _ = here(world)
    assert collection.archive.verify() == []
    found = {row.source: (row.state, row.chunks, row.sha256) for row in collection.ledger.rows()}
    assert found == {r.source: (r.state, r.chunks, r.sha256) for r in other.ledger.rows()}


def test_nothing_to_do_starts_no_cluster(world, runs):
    world.write_papers(3)
    collection = world.collection()
    runs.index(collection)
    runs.index(collection)
    assert runs.cluster.started == 1
    assert len(runs.jobs) == 1


def test_lost_portions_are_tried_file_by_file_and_cost_the_bad_file_alone(world, runs):
    world.write_papers(100)
    runs.spoiled["loses"] = lambda portion: any(
        item.entry.path.name == "007.md" for item in portion
    )
    collection = world.collection()
    report = runs.index(collection)
    assert numbers(report) == (99, 0, 0, 1, 0)
    (failed,) = report.outcomes
    assert failed.source.endswith("007.md")
    assert failed.code == "crashed"
    assert "each time it was tried" in failed.message
    runs.spoiled.clear()
    assert numbers(runs.index(collection, options=IndexOptions(retry_failed=True)))[0] == 1


def test_a_cluster_that_reads_nothing_at_all_ends_the_run(world, runs):
    world.write_papers(3)
    runs.spoiled["loses"] = lambda portion: True
    with pytest.raises(ClusterError, match="before they had read a single file"):
        runs.index(world.collection())


def test_shards_without_receipts_and_shards_that_came_twice(world, runs):
    write_all(world)
    runs.spoiled.update(forgets_receipts=True, repeats=True)
    collection = world.collection("there")
    report = runs.index(collection)
    other, expected = here(world)
    assert numbers(report) == numbers(expected)
    assert_equal(collection, other)
    assert shards(collection) == []


def test_waves(world, runs, monkeypatch):
    monkeypatch.setattr(feed_module, "_WAVE_FILES", 30)
    write_all(world)
    collection = world.collection("there")
    runs.index(collection)
    other, _ = here(world)
    assert_equal(collection, other)
    assert len(runs.asked()) == 75


def stop_after(collection, files: int):
    return lambda: collection.ledger.counts()["ready"] >= files


def test_an_interrupted_run_goes_on_with_its_shards(world, runs, monkeypatch):
    monkeypatch.setattr(work, "_PORTION_FILES", 5)
    write_all(world)
    collection = world.collection("there")
    report = runs.index(collection, should_stop=stop_after(collection, 1))
    assert report.interrupted
    left = shards(collection)
    assert left
    first = set(runs.asked())
    assert runs.index(collection).interrupted is False
    assert not first & {name for portion in runs.jobs[1].asked for name in portion}
    other, _ = here(world)
    assert_equal(collection, other)
    assert shards(collection) == []


def interrupted(world, runs):
    """Return a collection whose one shard is not taken in."""
    collection = world.collection("there")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed_module.RayFeed, "next_result", fail)
        with pytest.raises(InterruptedError):
            runs.index(collection)
    assert len(shards(collection)) == 1
    return collection


def fail(self, timeout_s):
    self._begin()
    self._is_ready.set()
    self._thread.join(60)
    raise InterruptedError


def test_files_that_changed_since_are_read_again(world, runs):
    papers = world.write_papers(5)
    collection = interrupted(world, runs)
    world.write("002.md", "# Paper 2\n\nQuite another text.")
    papers[3].unlink()
    report = runs.index(collection)
    assert numbers(report) == (4, 0, 0, 0, 0)
    assert runs.jobs[1].asked == [["002.md"]]
    assert shards(collection) == []
    index_paths_report = runs.index(collection, options=IndexOptions(prune=True))
    assert index_paths_report.removed == 1
    other, _ = here(world)
    assert_equal(collection, other)


def test_files_that_could_have_changed_unseen_are_read_again(world, runs):
    papers = world.write_papers(5)
    os.utime(papers[2])  # just now: another change might leave the same stamps
    collection = interrupted(world, runs)
    runs.index(collection)
    assert runs.jobs[1].asked == [["002.md"]]


def test_verify_knows_shards_that_wait(world, runs):
    world.write_papers(5)
    collection = interrupted(world, runs)
    report = verify(collection.directory)
    assert report.problems == ()
    assert not any("shard" in remark for remark in report.remarks)


def test_shards_wait_for_a_run_over_their_files(world, runs):
    world.write_papers(5)
    collection = interrupted(world, runs)
    (left,) = shards(collection)
    elsewhere = world.folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.md").write_text("# X\n\nOther documents.")
    engine = RayEngine(collection, runs.cluster, model=cluster_model(world.model))
    engine.index([elsewhere], options=IndexOptions())
    assert shards(collection) == [left]
    runs.index(collection)
    assert shards(collection) == []
    assert len(runs.jobs) == 2  # the last run asked for nothing


def test_shards_that_nobody_needs_any_more_are_removed(world, runs):
    world.write_papers(5)
    collection = interrupted(world, runs)
    index_paths(
        collection,
        [world.folder],
        embedder=lambda: FakeEmbedder(world.model),
        options=IndexOptions(),
    )
    world.write("later.md", "# Later\n\nAnother file.")
    runs.index(collection)
    assert shards(collection) == []


def test_shards_made_under_other_limits_are_not_taken(world, runs):
    from indexer.extraction import ExtractionLimits

    world.write_papers(5)
    collection = interrupted(world, runs)
    runs.index(collection, options=IndexOptions(limits=ExtractionLimits(timeout_s=7)))
    assert len(runs.jobs[1].asked[0]) == 5
    assert shards(collection) == []


def test_a_damaged_shard_of_an_earlier_run_is_made_anew(world, runs):
    world.write_papers(5)
    collection = interrupted(world, runs)
    (left,) = shards(collection)
    (left / "files.parquet").write_bytes(b"PAR1")
    assert numbers(runs.index(collection)) == (5, 0, 0, 0, 0)
    assert shards(collection) == []


def test_vectors_damaged_meanwhile_end_the_run_and_are_named(world, runs):
    world.write_papers(5)
    collection = interrupted(world, runs)
    (left,) = shards(collection)
    content = bytearray((left / "vectors.parquet").read_bytes())
    content[len(content) // 3] ^= 1
    (left / "vectors.parquet").write_bytes(content)
    with pytest.raises(StorageError, match=rf"{left.name} is damaged.*delete that folder"):
        runs.index(collection)
    assert collection.ledger.counts()["ready"] == 0


def test_a_machine_that_is_unfit_ends_the_run_with_its_reason(world, runs, monkeypatch):
    world.write_papers(3)
    (world.folder.parent / "absent").mkdir()
    engine = RayEngine(world.collection(), runs.cluster, model=cluster_model(world.model))
    monkeypatch.setattr(engine, "_roots", ())

    def gone(job, pools):
        from dataclasses import replace

        from indexer.extraction.protocol import pack_path

        return InProcess(replace(job, roots=(pack_path(world.folder / "absent"),)))

    monkeypatch.setattr(engine_module, "RayJob", gone)
    with pytest.raises(ClusterError, match=r"has no .*/absent; make the documents reachable"):
        engine.index([world.folder], options=IndexOptions())


def test_a_text_taken_for_a_known_one_is_embedded_here(world, runs, monkeypatch):
    world.write_papers(3)
    collection = world.collection("there")
    monkeypatch.setattr(embedding, "is_known", lambda known, key: True)
    report = runs.index(collection)
    assert numbers(report) == (3, 0, 0, 0, 0)
    other, _ = here(world)
    assert_equal(collection, other)


def test_known_vectors_are_given_to_the_cluster(world, runs):
    world.write_papers(3)
    collection = world.collection()
    runs.index(collection)
    world.write("more.md", "# More\n\nA fourth file.")
    runs.index(collection)
    assert [len(job.known) for job in runs.jobs] == [0, len(collection.archive) - 1]


def test_shards_may_lie_elsewhere(world, runs, tmp_path):
    world.write_papers(3)
    collection = world.collection()
    runs.index(collection, shards=tmp_path / "shared")
    assert list((tmp_path / "shared").iterdir()) == []
    assert Path(unpack_path(runs.jobs[0].job.shards)).parent == tmp_path / "shared" / collection.id
    assert not (collection.directory / "shards").exists()


def test_a_cluster_that_does_not_start_ends_the_run(world, runs, monkeypatch):
    def fail():
        raise ClusterError("Ray on this machine does not answer")

    world.write_papers(3)
    monkeypatch.setattr(runs.cluster, "start", fail)
    with pytest.raises(ClusterError, match="does not answer"):
        runs.index(world.collection())
    assert not (world.open[0].directory / "shards").exists()


def test_a_cluster_is_started_by_the_thread_that_began_the_run(world, runs, monkeypatch):
    threads = []
    monkeypatch.setattr(
        runs.cluster, "start", lambda: threads.append(threading.current_thread()) or ""
    )
    world.write_papers(3)
    runs.index(world.collection())
    assert threads == [threading.current_thread()]


def test_a_run_that_is_stopped_at_once_starts_no_cluster(world, runs):
    world.write_papers(3)
    assert runs.index(world.collection(), should_stop=lambda: True).interrupted
    assert runs.cluster.started == 0
