"""What a collection may be called."""

from __future__ import annotations

import re

from indexer.errors import UsageError

__all__ = ["check_name", "is_name"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_DEVICE_NAME = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def check_name(name: str) -> None:
    """Check that a name can be a collection's, on every file system.

    Raises:
        UsageError: it cannot; the message says what names may be.
    """
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise UsageError(
            f"{name!r} cannot be a collection's name: use 1 to 64 of the characters "
            "A-Z a-z 0-9 . _ - with no dot at either end"
        )
    if _DEVICE_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a collection's name: Windows keeps it for a device; "
            f"choose another, such as {'my-' + name!r}"
        )


def is_name(name: str) -> bool:
    """Return whether a name can be a collection's."""
    try:
        check_name(name)
    except UsageError:
        return False
    return True
