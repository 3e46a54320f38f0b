"""A process that writes to a store: ``python -m tests.indexer.stores.writer KIND FOLDER TASK``.

``versions`` replaces one document over and over until its input ends; ``grow`` adds documents until
it is killed, saying the name of each once it is stored.
"""

from __future__ import annotations

import sys
import threading
from itertools import count
from pathlib import Path

from tests.indexer.stores.content import Opened, open_store

PASSAGES_PER_VERSION = 8


def version(number: int) -> list[str]:
    """Return the passages of a version: all of them differ from those of every other."""
    return [f"revised {number} part {part}" for part in range(PASSAGES_PER_VERSION)]


def write_versions(opened: Opened, stopped: threading.Event) -> int:
    """Replace the document until stopped; return how many versions there were."""
    for number in count():
        opened.add("changing", version(number))
        if number % 10 == 9:
            opened.store.flush()
        if stopped.is_set():
            return number + 1
    raise AssertionError


def grow(opened: Opened) -> None:
    for number in count():
        opened.add(f"{number % 40}", [f"text {number} part {part}" for part in range(number % 5)])
        if number % 7 == 6:
            opened.delete(f"{(number * 3) % 40}")
        if number % 11 == 10:
            opened.store.flush()
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def main() -> None:
    kind, folder, task = sys.argv[1:]
    opened = open_store(kind, Path(folder))
    if task == "grow":
        grow(opened)
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    sys.stdout.write(f"{write_versions(opened, stopped)}\n")
    opened.close()


if __name__ == "__main__":
    main()
