"""A collection that this user may only read is examined like any other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.indexer.verification.collections import make_place

_AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


def gircse(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as somebody whom permissions bind, which root is not."""
    before = _AS_ANYBODY if os.geteuid() == 0 else []
    if before and subprocess.run([*before, "true"], check=False).returncode:
        pytest.skip("root may write everything, and setpriv cannot give that up here")
    return subprocess.run(
        [*before, sys.executable, "-m", "indexer.cli", "--home", str(home), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_sound_and_nothing_is_written(tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everything, and there is no setpriv to give that up")
    place = make_place(tmp_path)
    everything = [place.directory, *sorted(place.directory.rglob("*"))]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        verified = gircse(place.home, "verify", "docs")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert "docs is sound" in verified.stdout
        assert "the index of words was not compared" in verified.stderr
        refused = gircse(place.home, "verify", "docs", "--repair")
        assert refused.returncode == 1
        assert "cannot lock" in refused.stderr
        assert sorted(place.directory.rglob("*")) == everything[1:]
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)
