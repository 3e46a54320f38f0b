"""The errors of the app."""

from __future__ import annotations

from indexer.errors import UsageError

__all__ = ["ReadOnlyError"]


class ReadOnlyError(UsageError):
    """The app was started to search and show only."""
