"""Starts the command once more, in a session of its own that outlives this terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from indexer.errors import IndexerError, StorageError
from indexer.storage.segments import disk_errors

__all__ = ["start_detached"]

# -P, so that the working folder does not choose what is imported; the package's own folder comes
# last on the path, for when it runs from a checkout
_BOOTSTRAP = "import sys; sys.path.append(sys.argv.pop(1)); from indexer.cli import main; main()"

_START_TIMEOUT_S = 60.0
_NICENESS = 10
_TAIL_BYTES = 4000

_started: list[subprocess.Popen[bytes]] = []  # Popen complains of one that is let go while it runs


def start_detached(
    arguments: Sequence[str], *, log: Path, has_begun: Callable[[int], bool]
) -> int | None:
    """Run ``gircse`` with these arguments in the background, at a lower priority.

    Args:
        arguments: what follows ``gircse``.
        log: file for its output, written anew.
        has_begun: says whether the process of this id is at its work.

    Returns:
        Its id; None where it has done its work already.

    Raises:
        IndexerError: it ended with an error; the message is its own.
        StorageError: the log cannot be written.
    """
    with disk_errors(log, needed=0):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        log.touch(mode=0o600)  # its lines may name the user's files
        with log.open("ab") as stream:
            root = str(Path(__file__).parents[2])
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOTSTRAP, root, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    _started.append(process)
    with suppress(OSError):  # searches go first
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if has_begun(process.pid):
            return process.pid
        status = process.poll()
        if status == 0:
            return None
        if status is not None:
            raise IndexerError(f"the process in the background ended: {_tail(log)}")
        time.sleep(0.05)
    raise StorageError(
        f"process {process.pid} has not begun after {_START_TIMEOUT_S:.0f} s; {log} may tell why"
    )


def _tail(log: Path) -> str:
    try:
        text = log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
    except OSError:
        text = ""
    return text.rpartition("error: ")[2] or f"see {log}"
