"""Index a folder with the ``gircse`` command: chunks per second, where the time goes, memory.

    python -m tests.bench.indexing [PATH...] [--jobs N]

Runs the command itself in a home of its own, twice: the second run finds everything unchanged and
must not call the model. Memory is the largest sum over the command and its child processes, read
from /proc ten times a second (shared pages counted once per process, so a little too high).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "documents"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    members = [pid]
    for member in members:
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            members += map(int, task.read_text().split())
    return members


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process and all below it; 0 once it is gone."""
    total = 0
    for member in family(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * PAGE_BYTES
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def index(home: Path, paths: list[Path], jobs: int) -> tuple[dict[str, float], float, int]:
    """Run the command; return its report, the wall time in seconds and the peak memory in bytes."""
    command = [sys.executable, "-m", "indexer.cli", "--home", str(home), "index", *map(str, paths)]
    command += ["--jobs", str(jobs), "--format", "json", "--quiet"]
    started, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdout=output, stderr=complaints)
        while process.poll() is None:
            try:
                peak = max(peak, memory_bytes(process.pid))
            except (FileNotFoundError, ProcessLookupError):
                continue
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        if process.returncode not in (0, 3):
            complaints.seek(0)
            raise SystemExit(complaints.read().decode())
        output.seek(0)
        return json.load(output), seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[SAMPLE])
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for title in ("first run", "second run, nothing changed"):
            report, seconds, peak = index(Path(home), options.paths, options.jobs)
            model = report["model_seconds"]
            print(f"{title}: {seconds:.1f} s, peak memory {peak / 2**20:,.0f} MiB")
            counts = ("new", "unchanged", "no_text", "skipped", "failed")
            print("  " + ", ".join(f"{report[name]} {name.replace('_', ' ')}" for name in counts))
            if report["embedded"]:
                load = report["load_seconds"]
                outside = seconds - model - load
                print(f"  {report['chunks']:,} chunks, {report['chunks'] / seconds:.1f} chunks/s")
                print(f"  {model:.1f} s in the model, {load:.1f} s to load it")
                print(
                    f"  outside of the model: {outside:.1f} s, {outside / seconds:.1%} of the wall"
                )
            else:
                print("  the model was not called")


if __name__ == "__main__":
    main()
