"""Kill indexing, rebuilding, swapping, rolling back, restoring and importing at random moments.

    python -m tests.bench.chaos [PATH...] [--kills 50] [--seed 1] [--only NAME,...]

Each kill hits the command itself, with the real model, in a home of its own that was made ready for
it; half of them at a random step of its work on files, so that short commands are hit in their
midst. After each one ``gircse verify`` must find the collection sound, the same command must go on
and end well, and what the collection then holds must be what an undisturbed run leaves. Prints each
kill, and ends with status 0 when all of that held.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.collections.library import Library

_NAME = "default"
_SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "documents"
_LONGEST_DELAY_MS = 30.0


@dataclass(frozen=True)
class Operation:
    """A command that is killed.

    Args:
        name: as the report has it.
        base: the home that it is run on, by name.
        arguments: of ``gircse``; ``{files}`` and ``{archive}`` are filled in.
        from_share: the part of its steps in which it is killed begins here.
        repeats: whether the same command may be run again to go on.
        collection: the collection that it makes or changes.
    """

    name: str
    base: str
    arguments: tuple[str, ...]
    from_share: float = 0.0
    repeats: bool = True
    collection: str = _NAME


OPERATIONS = (
    Operation("index", "half", ("index", "{files}", "--steps", "0")),
    Operation("reindex", "whole", ("reindex", _NAME, "--index", "sqfp16")),
    Operation("re-embed", "whole", ("reindex", _NAME, "--chunk-tokens", "90")),
    Operation("swap", "whole", ("reindex", _NAME, "--index", "sq8"), from_share=0.7),
    Operation("rollback", "rebuilt", ("collections", "rollback", _NAME), repeats=False),
    Operation("import", "whole", ("import", "{archive}", "--name", "copy"), collection="copy"),
    Operation("restore", "kept", ("snapshot", "restore", _NAME, "first")),
)


class Arena:
    """The homes that commands are run on, and what an undisturbed run leaves in them."""

    def __init__(self, scratch: Path, files: Sequence[Path]) -> None:
        self._scratch = scratch
        self._files = [str(path.resolve()) for path in files]
        self._archive = scratch / "archive.zip"
        self._events: dict[str, int] = {}
        self._expected: dict[str, object] = {}
        self._seconds: dict[str, float] = {}

    def prepare(self) -> None:
        """Make the homes."""
        half = self._scratch / "some"
        half.mkdir()
        found = [path for root in self._files for path in sorted(Path(root).rglob("*.*"))]
        for number, path in enumerate(found[::2]):
            shutil.copy(path, half / f"{number}-{path.name}")
        self._run("half", "index", str(half), "--steps", "0")
        self._run("whole", "index", *self._files, "--steps", "0")
        self._run("whole", "export", _NAME, str(self._archive))
        for name in ("rebuilt", "kept"):
            shutil.copytree(self.home("whole"), self.home(name))
        self._run("rebuilt", "reindex", _NAME, "--index", "sqfp16")
        self._run("kept", "snapshot", "create", _NAME, "first")
        self._run("kept", "reindex", _NAME, "--index", "sqfp16")

    def home(self, name: str) -> Path:
        """Return the home of a name."""
        return self._scratch / "homes" / name

    def calm(self, operation: Operation) -> None:
        """Run a command to its end, to learn how long it takes and what it leaves."""
        home = self._fresh(operation)
        started = time.monotonic()
        self._check(self._start(operation, home, event=0))
        self._seconds[operation.name] = time.monotonic() - started
        self._events[operation.name] = int((self._scratch / "counts").read_text())
        self._expected[operation.name] = content(home, operation.collection)

    def kill(self, operation: Operation, choice: random.Random) -> str:
        """Kill a command once and see that nothing is lost; return what happened, in words.

        Raises:
            AssertionError: something was.
        """
        home = self._fresh(operation)
        events = self._events[operation.name]
        if choice.random() < 0.5:
            event = choice.randint(max(1, int(events * operation.from_share)), events)
            delay_ms = choice.choice([0.0, choice.uniform(0, _LONGEST_DELAY_MS)])
            process = self._start(operation, home, event=event, delay_ms=delay_ms)
            moment = f"event {event} of {events}"
        else:
            process = self._start(operation, home, event=events * 100)
            begin = self._seconds[operation.name] * operation.from_share
            seconds = choice.uniform(begin, self._seconds[operation.name])
            moment = f"{seconds:.2f} s"
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        process.communicate()
        was_killed = process.returncode == -signal.SIGKILL
        self._verify(home)
        if operation.repeats or not was_killed:
            self._go_on(operation, home, was_killed=was_killed)
        else:
            # rolling back twice leads back: either may be live, and both are whole
            self._run_in(home, "collections", "rollback", _NAME)
            self._verify(home)
        return f"{'killed' if was_killed else 'had ended'} at {moment}"

    def _go_on(self, operation: Operation, home: Path, *, was_killed: bool) -> None:
        is_there = operation.collection in Library(home).names()
        if was_killed and not (operation.name == "import" and is_there):
            self._check(self._start(operation, home, event=0))
            self._verify(home)
        found = content(home, operation.collection)
        assert found == self._expected[operation.name], "it differs from an undisturbed run's"

    def _verify(self, home: Path) -> None:
        for name in Library(home).names():
            done = self._gircse(home, "verify", name, "--format", "json")
            assert done.returncode == 0, f"gircse verify {name}:\n{done.stdout}{done.stderr}"

    def _fresh(self, operation: Operation) -> Path:
        home = self.home("at-work")
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.home(operation.base), home)
        return home

    def _start(
        self, operation: Operation, home: Path, *, event: int, delay_ms: float = 0.0
    ) -> subprocess.Popen[str]:
        arguments = []
        for argument in operation.arguments:
            if argument == "{files}":
                arguments += self._files
            else:
                arguments.append(argument.replace("{archive}", str(self._archive)))
        moment = [str(home), str(event), str(delay_ms), str(self._scratch / "counts")]
        command = ["indexer.cli", "--home", str(home), *arguments]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.bench.kill_at", *moment, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _check(self, process: subprocess.Popen[str]) -> None:
        output, _ = process.communicate()
        assert process.returncode == 0, f"{process.args}:\n{output}"

    def _run(self, home: str, *arguments: str) -> None:
        self._run_in(self.home(home), *arguments)

    def _run_in(self, home: Path, *arguments: str) -> None:
        done = self._gircse(home, *arguments)
        assert done.returncode == 0, f"gircse {' '.join(arguments)}:\n{done.stdout}{done.stderr}"

    def _gircse(self, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "indexer.cli", "--home", str(home), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def content(home: Path, name: str) -> object:
    """Return all of a collection that a user could tell apart."""
    with Library(home).open(name) as collection:
        chunks = Counter(
            (item.chunk.id, item.chunk.context, hashlib.sha256(item.chunk.text.encode()).digest())
            for stored, _ in collection.store.scroll()
            for item in stored
        )
        assert set(chunks.values()) <= {1}, "a passage is there twice"
        rows = collection.ledger.rows()
        ledger = [(row.source, row.state, row.code, row.sha256, row.chunks) for row in rows]
        with collection.using() as live:
            return set(chunks), ledger, live.record.index, live.config.settings.as_dict()


def main() -> int:
    """Run the whole; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[_SAMPLE], metavar="PATH")
    parser.add_argument("--kills", type=int, default=50, help="of all commands")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="names of commands, separated by commas")
    parser.add_argument("--scratch", type=Path, help="where to put the homes")
    options = parser.parse_args()
    wanted = [one for one in OPERATIONS if not options.only or one.name in options.only.split(",")]
    faults = 0
    with tempfile.TemporaryDirectory(prefix="gircse-chaos-", dir=options.scratch) as scratch:
        arena = Arena(Path(scratch), options.paths)
        arena.prepare()
        share, rest = divmod(options.kills, len(wanted))
        for position, operation in enumerate(wanted):
            kills = share + (position < rest)
            arena.calm(operation)
            choice = random.Random(f"{options.seed} {operation.name}")
            outcomes: Counter[str] = Counter()
            for number in range(1, kills + 1):
                try:
                    told = arena.kill(operation, choice)
                except AssertionError as error:
                    faults += 1
                    told = f"FAULT: {error}"
                outcomes[told.split(" at ")[0]] += 1
                say(f"{operation.name:<9} {number:>3}  {told}")
            say(f"{operation.name}: {json.dumps(outcomes)}")
    say(f"verdict: {faults} faults" if faults else "verdict: sound after every kill, and goes on")
    return 1 if faults else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
