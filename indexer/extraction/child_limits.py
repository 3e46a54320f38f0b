"""What a process that reads strangers' files may take, set by itself before it reads one."""

from __future__ import annotations

import contextlib
import resource
import sys

__all__ = ["limit_cpu", "limit_resources"]


def limit_resources(memory_bytes: int) -> None:
    """Forbid this process more address space than that, to write files, and to leave core dumps."""
    limits = [(resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)]
    if sys.platform == "linux":
        # other systems do not enforce it, or count shared system libraries into it
        limits.append((resource.RLIMIT_AS, memory_bytes))
    for kind, value in limits:
        # where the administrator allows less already, that holds
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def limit_cpu(seconds: float) -> None:
    """End this process after so much more processor time, even without a parent to do it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
