import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.distributed import cluster as cluster_module
from indexer.distributed.cluster import ClusterShape, RayCluster, check_installed
from indexer.distributed.job import Pools, plan_pools
from indexer.errors import UsageError

has_ray = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(has_ray, reason="Ray is installed")
def test_without_ray_the_extra_is_named():
    with pytest.raises(UsageError, match=r"pip install 'gircse-search\[ray\]'"):
        check_installed()


def test_the_address_of_a_client_is_refused(monkeypatch):
    monkeypatch.setattr(cluster_module, "check_installed", lambda: None)
    with pytest.raises(UsageError, match=r"ray://head:10001 .*--ray-address auto"):
        RayCluster("ray://head:10001")


def test_a_cluster_that_was_not_started_can_be_stopped(monkeypatch):
    monkeypatch.setattr(cluster_module, "check_installed", lambda: None)
    with RayCluster() as cluster:
        cluster.stop()


def test_folders_of_killed_runs_are_removed_and_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "_place", lambda: tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"gircse-ray-{ended.pid}-abc"
    running = tmp_path / f"gircse-ray-{os.getpid()}-abc"
    other = tmp_path / "gircse-ray-notes"
    for folder in (left, running, other):
        folder.mkdir()
    (left / "r").mkdir()
    link = tmp_path / f"gircse-ray-{ended.pid}-link"
    link.symlink_to(other)
    cluster_module._sweep()
    assert {path.name for path in tmp_path.iterdir()} == {running.name, other.name, link.name}


def test_the_folder_of_a_run_is_private_and_short(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module.tempfile, "gettempdir", lambda: str(tmp_path / ("x" * 60)))
    folder = cluster_module._private_folder()
    try:
        assert folder.parent == Path("/tmp")
        assert folder.stat().st_mode & 0o077 == 0
        monkeypatch.setattr(cluster_module, "_is_alive", lambda process: process != os.getpid())
        cluster_module._sweep()  # as the next run would, had this one been killed
        assert not folder.exists()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("shape", "jobs", "expected"),
    [
        (ClusterShape((3,), 0), 1, Pools(1, 1, 2, 0)),  # this machine: two cores and one job
        (ClusterShape((1,), 0), None, Pools(1, 1, 1, 0)),
        (ClusterShape((64,), 0), None, Pools(16, 3, 16, 0)),
        (ClusterShape((16, 16, 0), 0), None, Pools(8, 3, 8, 0)),
        (ClusterShape((32, 32), 8), None, Pools(56, 8, 1, 1)),
        (ClusterShape((32, 32), 8), 20, Pools(20, 8, 1, 1)),
        (ClusterShape((0,), 0), None, Pools(1, 1, 1, 0)),
    ],
)
def test_a_cluster_is_shared_out(shape, jobs, expected):
    assert plan_pools(shape, jobs=jobs, use_gpus=True) == expected


def test_gpus_can_be_left_alone():
    pools = plan_pools(ClusterShape((8,), 4), jobs=None, use_gpus=False)
    assert pools.embedder_gpus == 0
