"""Asking before something is deleted."""

from __future__ import annotations

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.terminal import Terminal
from indexer.errors import UsageError

__all__ = ["confirm_or_exit"]


def confirm_or_exit(terminal: Terminal, question: str, *, yes: bool) -> None:
    """Return when the user agrees, and end the command otherwise.

    Args:
        terminal: where a refusal is confirmed.
        question: what would be lost, with its counts.
        yes: the user agreed beforehand.

    Raises:
        UsageError: there is nobody to ask.
    """
    if yes:
        return
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        raise UsageError(
            "nothing was deleted: there was no answer. Add --yes to delete without a question."
        ) from None
    if not agreed:
        terminal.note("Nothing was deleted.")
        raise typer.Exit(ExitCode.ERROR)
