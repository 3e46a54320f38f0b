"""``gircse doctor``: is everything there, and what to do when it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.options import FormatOption, epilog
from indexer.cli.session import Session, session_of
from indexer.cli.terminal import one_line, write_json
from indexer.errors import UsageError
from indexer.settings import LoadedSettings, defaults

if TYPE_CHECKING:
    from indexer.doctor import Finding

__all__ = ["EPILOG", "doctor"]

EPILOG = epilog(
    "gircse doctor",
    "gircse doctor --format json",
    after=["Exit codes: 0 it works, perhaps with warnings; 1 something fails."],
)

_STYLES = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


def doctor(context: typer.Context, format: FormatOption = "text") -> None:
    """Examine this installation: packages, device, faiss, model files, disk and settings."""
    from indexer.doctor import Finding, examine

    session = session_of(context)
    findings: list[Finding] = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        if format == "text":
            _print(session, finding)

    loaded, problem = _settings(session)
    if problem is not None:
        report(Finding("settings", "fail", problem, "correct it; the rest is checked without"))
    for finding in examine(loaded):
        report(finding)
    levels = [finding.level for finding in findings]
    failed, warned = levels.count("fail"), levels.count("warn")
    if format == "json":
        write_json(
            {
                "ok": not failed,
                "findings": [
                    {
                        "name": finding.name,
                        "level": finding.level,
                        "detail": finding.detail,
                        "remedy": finding.remedy,
                    }
                    for finding in findings
                ],
            }
        )
    else:
        session.terminal.line(f"{levels.count('ok')} ok, {warned} to look at, {failed} failed")
    if failed:
        raise typer.Exit(ExitCode.ERROR)


def _settings(session: Session) -> tuple[LoadedSettings, str | None]:
    """Return the settings, or the defaults with what is wrong with them."""
    try:
        return session.load(), None
    except UsageError as error:
        return defaults(), str(error)


def _print(session: Session, finding: Finding) -> None:
    style = _STYLES[finding.level]
    session.terminal.line(
        (f"{finding.level:<4}", style), "  ", (finding.name, "bold"), "  ", one_line(finding.detail)
    )
    if finding.remedy:
        session.terminal.line("      → ", one_line(finding.remedy))
