"""Kill ``gircse index`` at random moments, resume, and compare with an undisturbed run.

    python -m tests.bench.kill_resume PATH... [--kills 20] [--seed 1] [--model NAME]

Runs the command itself, with the real model, in homes of its own. Prints each kill, both
collections' figures, what differs, and a verdict; ends with status 0 when nothing differs.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.collections.library import Library

_NAME = "default"
_LEAST_COSINE = 0.999  # a text's vector depends a little on its company in the batch


@dataclass(frozen=True)
class Content:
    """All of a collection that must not depend on kills."""

    chunks: dict[str, np.ndarray]
    repeated: int
    ledger: dict[str, tuple[object, ...]]
    hashes: set[bytes]
    words: int
    damaged: list[str]


def main() -> int:
    """Run the comparison; return the exit status."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="gircse-kill-", dir=options.scratch) as scratch:
        calm, shaken = Path(scratch, "calm"), Path(scratch, "shaken")
        report, seconds = _index(calm, options)
        say(f"undisturbed: {seconds:.1f} s, {report['chunks']:,} chunks, {_closing(report)}")
        model_s = float(str(report["model_seconds"]))
        say(
            f"  {model_s:.1f} s in the model, {float(str(report['load_seconds'])):.1f} s to load it"
        )
        _shake(shaken, options, seconds=seconds, work_s=model_s)
        report, seconds = _index(shaken, options)
        say(f"resumed to the end: {seconds:.1f} s, {_closing(report)}")
        report, seconds = _index(shaken, options)
        say(f"once more: {seconds:.1f} s, {report['embedded']} texts embedded, {_closing(report)}")
        faults = _differences(read(calm), read(shaken))
        if report["embedded"]:
            faults.append("a run over unchanged files called the model")
    for fault in faults:
        say(f"DIFFERENT: {fault}")
    say("verdict: " + ("NOT equal" if faults else f"equal after {options.kills} kills"))
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="gircse-minilm")
    parser.add_argument("--scratch", type=Path, help="where to put the homes")
    return parser.parse_args()


def _command(home: Path, options: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "indexer.cli", "--home", str(home), "index"]
    flags = ["--collection", _NAME, "--model", options.model, "--format", "json", "--quiet"]
    return [*command, *flags, "--", *(str(path.resolve()) for path in options.paths)]


def _index(home: Path, options: argparse.Namespace) -> tuple[dict[str, object], float]:
    started = time.monotonic()
    done = subprocess.run(_command(home, options), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):  # 3: some files failed, which the ledgers must agree on
        raise SystemExit(f"gircse index ended with {done.returncode}:\n{done.stderr}")
    report: dict[str, object] = json.loads(done.stdout)
    return report, time.monotonic() - started


def _shake(home: Path, options: argparse.Namespace, *, seconds: float, work_s: float) -> None:
    """Start the command again and again, and kill it while it works."""
    moments = random.Random(options.seed)
    start_s = seconds - work_s
    # so long that some kills come before the model is loaded, and the last before all is done
    longest = min(start_s, 20.0) + 1.5 * work_s / options.kills
    in_work = 0
    for number in range(1, options.kills + 1):
        moment = moments.uniform(0.0, longest)
        process = subprocess.Popen(
            _command(home, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            in_work += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        say(f"kill {number:>2} after {moment:5.1f} s: {_stand(home)}")
    say(f"{in_work} of {options.kills} kills came while the command ran")


def _stand(home: Path) -> str:
    for summary in Library(home).summaries():
        states = ", ".join(f"{count} {state}" for state, count in sorted(summary.states.items()))
        return f"{summary.chunks:,} chunks searchable; {states}"
    return "no collection yet"


def read(home: Path) -> Content:
    """Read a collection whole."""
    with Library(home).open(_NAME) as collection:
        chunks: dict[str, np.ndarray] = {}
        repeated = 0
        for stored, vectors in collection.store.scroll():
            for item, vector in zip(stored, vectors, strict=True):
                repeated += item.chunk.id in chunks
                chunks[item.chunk.id] = vector
        with collection.database.read() as connection:
            hashes = {row[0] for row in connection.execute("SELECT hash FROM vectors")}
            words = connection.execute("SELECT count(*) FROM chunk_words").fetchone()[0]
        rows = collection.ledger.rows()
        return Content(
            chunks=chunks,
            repeated=repeated,
            ledger={r.source: (r.state, r.code, r.sha256, r.chunks) for r in rows},
            hashes=hashes,
            words=words,
            damaged=[str(damage) for damage in collection.archive.verify()],
        )


def _differences(calm: Content, shaken: Content) -> list[str]:
    faults = [f"damaged archive: {damage}" for damage in shaken.damaged]
    for content, name in [(calm, "undisturbed"), (shaken, "killed")]:
        say(
            f"{name}: {len(content.chunks):,} chunks of {len(content.ledger):,} files, "
            f"{len(content.hashes):,} embeddings"
        )
        if content.repeated or content.words != len(content.chunks):
            faults.append(f"{name}: {content.repeated} chunks twice, {content.words} in the words")
    missing = calm.chunks.keys() - shaken.chunks.keys()
    extra = shaken.chunks.keys() - calm.chunks.keys()
    if missing or extra:
        faults.append(f"{len(missing)} chunks are missing, {len(extra)} are too many")
    if calm.hashes != shaken.hashes:
        faults.append(f"{len(calm.hashes ^ shaken.hashes)} embeddings differ")
    for source in sorted(calm.ledger.keys() | shaken.ledger.keys()):
        if calm.ledger.get(source) != shaken.ledger.get(source):
            faults.append(f"{source}: {calm.ledger.get(source)} / {shaken.ledger.get(source)}")
    common = calm.chunks.keys() & shaken.chunks.keys()
    least = min((float(calm.chunks[key] @ shaken.chunks[key]) for key in common), default=1.0)
    say(f"least cosine between equal chunks: {least:.6f}")
    if least < _LEAST_COSINE:
        faults.append(f"vectors of equal chunks differ: cosine {least:.6f}")
    return faults


def _closing(report: dict[str, object]) -> str:
    names = ("new", "updated", "unchanged", "removed", "failed", "no_text", "skipped")
    return ", ".join(f"{report[name]} {name}" for name in names)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
