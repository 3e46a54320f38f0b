"""Waiting in tests for what another thread does."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], *, timeout_s: float = 300.0) -> None:
    """Return as soon as ``holds()`` is true; fail when it does not come to that."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.02)
