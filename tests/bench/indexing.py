"""Index folders with the ``gircse`` command: documents and chunks per second, and where time goes.

    python -m tests.bench.indexing [PATH...] [--steps K] [--jobs N]

Runs the command itself in a home of its own, twice: the second run finds everything unchanged and
must not call the model. Memory is the largest sum over the command and its child processes, read
from /proc ten times a second (shared pages counted once per process, so a little too high).

Prints one JSON line. ``outside_of_model`` is the share of the wall time of the whole process, start
of Python included, in which neither the model was at work nor being loaded: what reading, cutting,
storing and writing the index cost beyond what they do beside the model. On a busy machine it tells
little: ``cpu_seconds`` and ``cores_busy`` say how busy this one was with other things.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
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


def index(home: Path, options: argparse.Namespace) -> dict[str, float]:
    """Run the command; return its report with wall time, processor time and peak memory."""
    command = [sys.executable, "-m", "indexer.cli", "--home", str(home), "index"]
    command += [*map(str, options.paths), "--format", "json", "--quiet"]
    for flag in ("jobs", "steps"):
        if getattr(options, flag) is not None:
            command += [f"--{flag}", str(getattr(options, flag))]
    started, used, peak = time.perf_counter(), _cpu_seconds(), 0
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
        report = json.load(output)
    report.pop("files")
    return report | {"wall": seconds, "cpu": _cpu_seconds() - used, "peak": peak}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def summary(first: dict[str, float], second: dict[str, float]) -> dict[str, object]:
    """Return what two runs over the same files took."""
    wall, model, load = first["wall"], first["model_seconds"], first["load_seconds"]
    outside = wall - model - load
    return {
        "documents": first["new"],
        "not_ready": first["failed"] + first["no_text"] + first["skipped"],
        "chunks": first["chunks"],
        "texts_embedded": first["embedded"],
        "seconds": round(wall, 1),
        "documents_per_second": round(first["new"] / wall, 2),
        "chunks_per_second": round(first["chunks"] / wall, 2),
        "model_seconds": round(model, 1),
        "load_seconds": round(load, 1),
        "outside_seconds": round(outside, 1),
        "outside_of_model": round(outside / wall, 4),
        "cpu_seconds": round(first["cpu"], 1),
        "cores_busy": round(first["cpu"] / wall, 2),
        "peak_memory_mib": round(first["peak"] / 2**20),
        "unchanged_seconds": round(second["wall"], 1),
        "unchanged_embedded": second["embedded"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[SAMPLE])
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--steps", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        first, second = (index(Path(home), options) for _ in range(2))
    print(json.dumps(summary(first, second)))


if __name__ == "__main__":
    main()
