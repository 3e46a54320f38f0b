"""The errors of the app, and what becomes of those that nobody expected."""

from __future__ import annotations

import logging
import secrets

from indexer.errors import UsageError

__all__ = ["ReadOnlyError", "log_unexpected"]


class ReadOnlyError(UsageError):
    """The app was started to search and show only."""


def log_unexpected(logger: logging.Logger, what: str, error: Exception) -> str:
    """Log an error with its traceback; return the number under which it is found there."""
    reference = secrets.token_hex(4)
    logger.error("%s failed (error %s)", what, reference, exc_info=error)
    return reference
