"""The flags of ``gircse index --engine ray``; the engine has tests of its own."""

import importlib
import importlib.util

import pytest

from indexer.distributed import cluster


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nApples.")
    return folder


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_command_says_which_extra_to_install(gircse, files):
    result = gircse("index", str(files), "--engine", "ray")
    assert result.exit_code == 2
    assert "pip install 'gircse-search[ray]'" in result.stderr
    assert "there is no collection" in gircse("collections", "show", "default").stderr


@pytest.mark.parametrize("flag", ["--ray-address", "--ray-shards"])
def test_flags_of_ray_want_ray(gircse, files, flag):
    result = gircse("index", str(files), flag, "x")
    assert result.exit_code == 2
    assert f"{flag} x means nothing without --engine ray" in result.stderr


@pytest.mark.parametrize("flags", [("--devices", "cuda:0,cuda:1"), ("--device", "cuda:1")])
def test_ray_hands_out_the_devices(gircse, files, flags, monkeypatch):
    monkeypatch.setattr(cluster, "check_installed", lambda: None)
    result = gircse("index", str(files), "--engine", "ray", *flags)
    assert result.exit_code == 2
    assert f"Ray hands out the devices, not {flags[1]}" in result.stderr


def test_a_dry_run_starts_no_cluster(gircse, files, monkeypatch):
    monkeypatch.setattr(cluster, "check_installed", lambda: None)
    index = importlib.import_module("indexer.cli.index")  # the package has a command of that name
    monkeypatch.setattr(index, "ray_indexing", lambda *_: pytest.fail("it was started"))
    result = gircse("index", str(files), "--engine", "ray", "--dry-run")
    assert result.exit_code == 0
    assert "1 new" in result.stdout
