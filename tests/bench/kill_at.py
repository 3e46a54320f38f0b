"""Run a module and kill it, without warning, at a given step of its work on files.

    python -m tests.bench.kill_at HOME EVENT DELAY_MS COUNTS MODULE [ARGUMENT...]

Counts what the module does to files below HOME (opening, renaming, linking, removing, connecting a
database …). At event number EVENT it is sent SIGKILL, DELAY_MS milliseconds later; with EVENT 0 it
runs to its end and writes how many events there were to the file COUNTS.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

_EVENTS = frozenset(
    {"open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"}
    | {"os.utime", "shutil.rmtree", "shutil.copyfile", "sqlite3.connect", "os.listdir"}
)
_NOTES = "reindex.json"  # how far a rebuild is: told by the clock, so more often by a slow machine


class _Executioner:
    def __init__(self, home: str, event: int, delay_s: float) -> None:
        self.count = 0
        self._home = home
        self._event = event
        self._delay_s = delay_s

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in _EVENTS or not arguments:
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.fsdecode(path)
        if self._home not in name or _NOTES in name:
            return
        self.count += 1
        if self.count == self._event:
            if self._delay_s:
                threading.Thread(target=self._strike, daemon=True).start()
            else:
                self._strike()

    def _strike(self) -> None:
        time.sleep(self._delay_s)
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run what the command line says."""
    home, event, delay_ms, counts, module, *arguments = sys.argv[1:]
    executioner = _Executioner(home, int(event), float(delay_ms) / 1000)
    if executioner._event == 0:
        atexit.register(lambda: Path(counts).write_text(str(executioner.count)))
    sys.argv = [module, *arguments]
    sys.addaudithook(executioner)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
