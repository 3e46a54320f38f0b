"""When a file was last modified, in the range that databases keep."""

from __future__ import annotations

import os

__all__ = ["modified_ns"]

_LATEST_NS = 2**63 - 1  # in the year 2262; file systems go on for millennia


def modified_ns(status: os.stat_result) -> int:
    """Return a file's time of modification; what is out of range counts as its nearest end."""
    return max(-_LATEST_NS, min(status.st_mtime_ns, _LATEST_NS))
