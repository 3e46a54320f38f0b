"""Everything that can be typed is explained."""

from __future__ import annotations

import pytest
import typer

from indexer.cli import app
from indexer.cli.boundary import ExitCode


def commands(command=None, path=()):
    """Yield every command below the root with the words that call it."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


ALL = list(commands())
LEAVES = [(path, command) for path, command in ALL if not hasattr(command, "commands")]


def test_the_commands_are_the_ones_that_are_promised():
    assert {" ".join(path) for path, _ in LEAVES} == {
        "index",
        "reindex",
        "search",
        "status",
        "show",
        "doctor",
        "eval",
        "train",
        "tune",
        "app",
        "watch",
        "verify",
        "export",
        "import",
        "snapshot create",
        "snapshot list",
        "snapshot restore",
        "snapshot delete",
        "judgements list",
        "judgements export",
        "judgements import",
        "judgements delete",
        "collections list",
        "collections show",
        "collections rename",
        "collections delete",
        "collections rollback",
        "documents list",
        "documents delete",
        "model list",
        "model info",
        "model pull",
        "model verify",
        "model export",
        "config show",
    }


@pytest.mark.parametrize(("path", "command"), ALL, ids=lambda value: str(value)[:40])
def test_every_command_argument_and_option_has_help(path, command):
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(path)}: {parameter.name}"


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=lambda value: str(value)[:40])
def test_every_command_shows_examples_of_itself(path, command):
    call = "gircse " + " ".join(path)

    assert "Examples:" in command.epilog
    assert call in command.epilog


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_printed_in_full_for_every_command(gircse, path, flag):
    result = gircse(*path, flag)

    assert result.exit_code == 0
    assert result.stderr == ""
    assert "Usage: gircse" in result.stdout


def test_brackets_are_text_of_the_help_and_no_markup(gircse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    assert "under [qdrant]," in gircse.ok("config", "show", "--help")


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_help_keeps_to_the_width_of_the_terminal(gircse, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)

    lines = gircse.ok("index", "--help").splitlines()

    assert max(len(line) for line in lines) <= int(width)


def test_one_format_flag_everywhere():
    for path, command in LEAVES:
        for parameter in command.params:
            if parameter.name == "format":
                assert parameter.opts == ["--format", "-f"], path


def test_help_of_the_root_documents_every_exit_code(gircse):
    shown = gircse.ok("--help")

    for code in ExitCode:
        assert f"{int(code)}  " in shown.partition("Exit codes:")[2]


def test_the_version_is_that_of_the_distribution(gircse):
    from importlib.metadata import version

    assert gircse.ok("--version") == f"gircse-search {version('gircse-search')}\n"
