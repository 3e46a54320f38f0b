"""What every command starts from: the global flags, the terminal and the settings in force."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from indexer import settings
from indexer.cli.terminal import Terminal

if TYPE_CHECKING:
    import typer

    from indexer.collections.library import Collection, Library
    from indexer.settings import LoadedSettings

__all__ = ["Session", "session_of"]


@dataclass(slots=True)
class Session:
    """The global flags of one run.

    Args:
        home: ``--home`` as given, or None.
        debug: show tracebacks and debug messages.
        terminal: where output goes.
    """

    home: Path | None = None
    debug: bool = False
    terminal: Terminal = field(default_factory=Terminal)

    def load(self, flags: Mapping[str, object] | None = None) -> LoadedSettings:
        """Return the settings in force under a command's own flags (None: not given)."""
        return settings.load({"home": self.home, **(flags or {})})

    def library(self, loaded: LoadedSettings) -> Library:
        """Return the collections under the home directory."""
        from indexer.collections.library import Library

        return Library(loaded.settings.home)

    def open(self, collection: str | None) -> Collection:
        """Open the collection of that name, or the one that the settings name."""
        loaded = self.load({"collection": collection})
        return self.library(loaded).open(loaded.settings.collection)

    def start_logging(self) -> None:
        """Send log messages of the program to stderr, where progress is drawn."""
        level = logging.DEBUG if self.debug else logging.WARNING
        for name in ("indexer", "gircse_core", "app"):
            logger = logging.getLogger(name)
            logger.handlers = [_TerminalHandler(self.terminal)]
            logger.setLevel(level)


class _TerminalHandler(logging.Handler):
    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{logging.Formatter().formatException(record.exc_info)}"
        if record.levelno >= logging.WARNING:
            self._terminal.warn(message)
        else:
            self._terminal.note(f"{record.name}: {message}")


def session_of(context: typer.Context) -> Session:
    """Return the session that the root callback made."""
    return cast(Session, cast(Any, context).obj)
