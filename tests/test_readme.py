"""The README's commands and programs, run as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_commands_run_in_order(tmp_path):
    commands = [line for block in _blocks("sh") for line in block.splitlines() if line]
    assert len(commands) >= 14
    environment = os.environ | {
        "GIRCSE_HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout.strip(), command


@pytest.mark.slow
@pytest.mark.parametrize("program", _blocks("python"), ids=lambda text: text.split("\n")[0][:40])
def test_programs_run(program, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2


def test_every_command_is_named():
    from typer.main import get_command

    from indexer.cli import app

    group = get_command(app)
    for name, command in group.commands.items():
        for subcommand in getattr(command, "commands", {"": None}):
            assert f"gircse {name} {subcommand}".rstrip() in README


def test_every_path_in_the_tree_exists():
    tree = next(block for block in _blocks("") if block.startswith("gircse_core/"))
    folder = ROOT
    for line in tree.splitlines():
        names = [name for name in line.split("  ")[0 if line[0] != " " else 1].split() if name]
        base = ROOT if line[0] != " " else folder
        for name in names:
            assert (base / name).exists(), f"{line!r} names {name}"
        if line[0] != " ":
            folder = ROOT / names[0]
    for image in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / image).is_file()
