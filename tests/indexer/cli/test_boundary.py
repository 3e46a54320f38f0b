"""Errors become one line and an exit code; a traceback is for --debug and the log."""

from __future__ import annotations

import stat

import pytest

from indexer.cli import config
from indexer.errors import (
    CollectionBusyError,
    FingerprintMismatchError,
    FormatVersionError,
    StorageError,
    UsageError,
)


@pytest.fixture
def failing(monkeypatch):
    """Make ``gircse config show`` raise what the test wants."""

    def fail_with(error):
        def fail(*args):
            raise error

        # Below the command, where the real thing would fail.
        monkeypatch.setattr(config, "_settings_as_dict", fail)

    return fail_with


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong"), 2),
        (FingerprintMismatchError("other model"), 4),
        (FormatVersionError("newer"), 4),
        (StorageError("disk"), 1),
        (CollectionBusyError("held by 17"), 1),
        (KeyboardInterrupt(), 130),
        (RuntimeError("surprise"), 1),
        (BrokenPipeError(), 0),
    ],
)
def test_every_kind_of_error_has_its_exit_code(gircse, failing, monkeypatch, error, code):
    monkeypatch.setattr("indexer.cli.boundary._discard_stdout", lambda: None)
    failing(error)

    result = gircse("config", "show", "--format", "json")

    assert result.exit_code == code
    assert "Traceback" not in result.output
    if str(error):
        assert str(error) in result.stderr
    assert result.stdout == ""


def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_a_private_log(gircse, failing):
    failing(RuntimeError("first line\nsecond line"))

    result = gircse("config", "show", "--format", "json")

    log = gircse.home / "logs" / "errors.log"
    assert result.stderr == (
        f"error: unexpected RuntimeError: first line second line. The traceback is in {log}.\n"
    )
    assert "Traceback (most recent call last)" in log.read_text(encoding="utf-8")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_log_does_not_grow_without_end(gircse, failing):
    log = gircse.home / "logs" / "errors.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * 1_000_001)
    failing(RuntimeError("again"))

    gircse("config", "show", "--format", "json")

    assert log.stat().st_size < 100_000
    assert log.with_name("errors.log.1").stat().st_size == 1_000_001


def test_where_no_log_can_be_written_debug_is_recommended(gircse, failing):
    gircse.home.write_text("a file where the directory should be", encoding="utf-8")
    failing(RuntimeError("surprise"))

    result = gircse("config", "show", "--format", "json")

    assert result.exit_code == 1
    assert "Run it again with --debug" in result.stderr


@pytest.mark.parametrize("error", [RuntimeError("surprise"), StorageError("disk")])
def test_debug_shows_the_traceback(gircse, failing, error):
    failing(error)

    result = gircse("--debug", "config", "show", "--format", "json")

    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr


def test_a_query_that_looks_like_an_option_is_explained(gircse):
    result = gircse("search", "--no-verify")

    assert result.exit_code == 2
    assert "gircse search -- -x" in " ".join(result.stderr.split())


def test_an_unknown_command_is_a_usage_error(gircse):
    result = gircse("serch", "x")

    assert result.exit_code == 2
    assert "serch" in result.stderr
    assert result.stdout == ""
