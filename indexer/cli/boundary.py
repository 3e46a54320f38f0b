"""The edge of the command line: errors become one line on stderr and an exit code.

Nothing below this module prints an error or ends the process.
"""

from __future__ import annotations

import os
import sys
import traceback
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from indexer.cli.session import Session
from indexer.embedder import ModelError, ModelNotFoundError
from indexer.errors import IndexerError, StaleCollectionError, UsageError

__all__ = ["EXIT_CODES", "ExitCode", "RootGroup"]

_MAX_LOG_BYTES = 1_000_000


if TYPE_CHECKING:
    # typer keeps its own copy of click private, and its Context narrows that one's
    from typer._click.core import Context as _Context


class ExitCode(IntEnum):
    """What the exit status of ``gircse`` says."""

    OK = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    STALE = 4
    INTERRUPTED = 130


EXIT_CODES = {
    ExitCode.OK: "all went well",
    ExitCode.ERROR: "an error stopped the command",
    ExitCode.USAGE: "the command or its settings are wrong",
    ExitCode.SOME_FAILED: "done, but some files failed",
    ExitCode.STALE: "the collection does not fit the model or this version",
    ExitCode.INTERRUPTED: "interrupted",
}


class RootGroup(TyperGroup):
    """The root command: runs a subcommand and turns what it raises into message and exit code."""

    def invoke(self, ctx: _Context) -> object:
        """Run the command line."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # here, where a closed pipe is still ours to answer
            return result
        except (typer.Exit, typer.Abort):
            raise
        except typer.TyperException as error:
            _explain_dash(error)
            raise
        except BrokenPipeError:
            # `| head` has read all that it wanted. stdout is pointed elsewhere because Python
            # flushes it once more at exit and would complain there.
            _discard_stdout()
            raise typer.Exit(ExitCode.OK) from None
        except KeyboardInterrupt:
            _session(ctx).terminal.error("interrupted.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except (IndexerError, ModelError) as error:
            if _session(ctx).debug:
                traceback.print_exc()
            _session(ctx).terminal.error(str(error))
            raise typer.Exit(_exit_code(error)) from error
        except Exception as error:
            _report_unexpected(error, _session(ctx))
            raise typer.Exit(ExitCode.ERROR) from error


def _session(ctx: _Context) -> Session:
    # None when the root callback itself failed.
    return ctx.obj if isinstance(ctx.obj, Session) else Session()


def _exit_code(error: IndexerError | ModelError) -> ExitCode:
    # A model's own name for a bad request: values that it does not take are ValueErrors.
    if isinstance(error, UsageError | ModelNotFoundError | ValueError):
        return ExitCode.USAGE
    if isinstance(error, StaleCollectionError):
        return ExitCode.STALE
    return ExitCode.ERROR


def _explain_dash(error: typer.TyperException) -> None:
    """Say to whoever searches for "-x" how a text that starts with a dash is written."""
    context = getattr(error, "ctx", None)
    if context is not None and context.info_name == "search" and "No such option" in error.message:
        error.message += " A query that starts with a dash goes after --: gircse search -- -x"


def _discard_stdout() -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _report_unexpected(error: Exception, session: Session) -> None:
    if session.debug:
        traceback.print_exc()
        return
    where = _write_log(error, session)
    what = " ".join(str(error).split()) or "no message"
    session.terminal.error(
        f"unexpected {type(error).__name__}: {what}. "
        + (f"The traceback is in {where}." if where else "Run it again with --debug for more.")
    )


def _write_log(error: Exception, session: Session) -> Path | None:
    """Append the traceback to the log and return its path, or None where that is impossible."""
    entry = "".join(traceback.format_exception(error))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        log = session.load().settings.home / "logs" / "errors.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        log.touch(mode=0o600)  # a traceback may name the user's files
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{now}\n{entry}\n")
    except (OSError, UsageError):
        return None
    return log
