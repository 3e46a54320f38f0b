"""The errors of the app, and what becomes of those that nobody expected."""

from __future__ import annotations

import logging
import secrets

from indexer.errors import UsageError

__all__ = ["ReadOnlyError", "UploadLimitError", "log_unexpected", "refuse_changes"]


class ReadOnlyError(UsageError):
    """The app was started to search and show only."""


class UploadLimitError(UsageError):
    """More was uploaded than may be."""


def refuse_changes(*, is_read_only: bool) -> None:
    """Do nothing, unless the app changes nothing.

    Raises:
        ReadOnlyError: it was started to search and show only.
    """
    if is_read_only:
        raise ReadOnlyError(
            "This app is read-only: it searches and shows, and changes nothing. Whoever runs it "
            "can start it without --read-only (setting read_only, GIRCSE_READ_ONLY)."
        )


def log_unexpected(logger: logging.Logger, what: str, error: Exception) -> str:
    """Log an error with its traceback; return the number under which it is found there."""
    reference = secrets.token_hex(4)
    logger.error("%s failed (error %s)", what, reference, exc_info=error)
    return reference
